"""One pure function a stage: inputs, engine and work folder in, result out. No Prefect here."""
