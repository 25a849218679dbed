"""When each line is spoken: segmentation, slots and the fit planner. Pure: no file, no engine, no clock."""
