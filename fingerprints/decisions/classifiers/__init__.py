"""Classifiers: nearest centroid, support vector machine, logistic regression, neighbours, trained head."""
