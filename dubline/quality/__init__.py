"""The measures behind `report.json`, taken from finished files."""
