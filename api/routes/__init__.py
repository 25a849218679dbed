"""One module for each group of paths; handlers only translate between HTTP and the services."""
