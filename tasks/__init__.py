"""The Prefect skin: one module a stage, one thin task each, around the pure functions of `dubline.stages`."""
