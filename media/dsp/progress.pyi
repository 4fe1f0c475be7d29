# Nothing for Python: compiled modules cimport it, and media.dsp.hearing.Ears shows what it hears.
