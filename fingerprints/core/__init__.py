"""What every room stands on: errors, tasks, options, files, signals, progress, fitted state, weights."""
