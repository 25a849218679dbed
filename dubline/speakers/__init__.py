"""Who speaks: prints of voices into speakers, their pitch, and the voices that dub them. Pure."""
