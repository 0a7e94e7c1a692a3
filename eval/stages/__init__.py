"""The measuring stages of the pipeline, one file each: files in, the core, files out."""
