"""Speech recognition, translation and speech synthesis, as plug-ins behind small protocols."""
