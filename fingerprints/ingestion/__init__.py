"""Other people's files into ours: pictures and DICOM, without names."""
