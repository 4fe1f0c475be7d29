"""Signal processing: levels and resampling in numpy, streaming detectors and concealment as compiled nogil modules."""
