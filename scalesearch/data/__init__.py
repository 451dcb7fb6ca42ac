"""Image sources -> decoded uint8 arrays on disk -> batches.

settings.py says which data set, registry.py opens it, prepare.py decodes it once into prepared.py's memory maps, and
loading.py (the only module here that imports torch) turns those into what a trainer feeds on.
"""
