"""Importing pictures and DICOM files, without any names from the sources."""
