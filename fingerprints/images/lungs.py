"""The default lung mask: thresholding and morphology, without training.

In an axial CT slice of the chest, the lungs are dark and the body around them is brighter, for any window.
The steps are the usual ones (Hu et al. 2001, Automatic lung segmentation for accurate quantitation of
volumetric X-ray CT images, sections II-A to II-C): find a threshold between lungs and body, remove the air
around the body and the airways, and fill vessels and the notches that they cut into the outline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

# Lengths are shares of the side, areas are shares of the image; values were found on slices of 256 x 256.
_WORKING = 256  # pixels
_TOWARDS_BODY = 0.3  # moves the threshold from Otsu's value towards the mean of the body, by this share
_CLOSING = 10 / 256  # radius: larger than the notches that vessels and pleural nodules cut into the outline
_OPENING = 1.0 / 256  # radius: larger than thin links between the lungs, or between lungs and airways
_LEAST_LUNG = 0.0008  # area: smaller than pieces of lung near the diaphragm, larger than gas in the bowel
_LEAST_OF_LARGEST = 0.01  # smallest area of a piece, as a share of the largest piece
_LARGEST_HOLE = 0.03  # area: holes up to this size are vessels or tumours; the heart is larger
_BORDER = 1.2  # contact with the image border over the root of the area: more means air around the body
_LARGEST_AIRWAY, _MIDDLE = 0.008, 0.12  # largest area of a windpipe; largest distance from the lungs' middle
_ROUND = 0.88  # smallest solidity of an airway's cross-section


def lung_masks(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Lung masks `(n, S, S)` of `(n, S, S)` uint8 slices; empty for a slice without dark areas in a body."""
    return np.stack([lung_mask(image) for image in images]) if len(images) else images.astype(bool)


def lung_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Lung mask `(S, S)` of one `(S, S)` uint8 slice; empty if nothing looks like a lung.

    Slices with sides of more than 256 pixels are reduced to that size first: larger sizes take longer but do
    not give a better mask.
    """
    side = image.shape[-1]
    if side > _WORKING:
        small = Image.fromarray(image).resize((_WORKING, _WORKING), Image.Resampling.BILINEAR)
        mask = Image.fromarray(lung_mask(np.asarray(small)).astype(np.float32))
        return np.asarray(mask.resize((side, side), Image.Resampling.BILINEAR)) >= 0.5
    if image.min() == image.max():
        return np.zeros(image.shape, dtype=bool)
    smooth = ndimage.gaussian_filter(image.astype(np.float32), 0.5 * side / 256, mode="nearest")
    threshold = threshold_otsu(smooth)
    # A higher threshold, so that pixels half lung and half wall, and hazy lung, count as lung.
    threshold += _TOWARDS_BODY * (smooth[smooth >= threshold].mean() - threshold)
    dark = smooth < threshold
    inside = _without_outside_air(dark)
    thick = _opened(inside, _OPENING * side)
    pieces, count = ndimage.label(thick)
    if count == 0:
        return thick
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    areas[0] = 0
    least = max(_LEAST_LUNG * image.size, _LEAST_OF_LARGEST * areas.max())
    kept = np.isin(pieces, np.flatnonzero(areas >= least))
    lungs = _without_airways(np.where(kept, pieces, 0))
    kept = lungs | _tips(inside & ~thick, lungs, thick & ~lungs)
    # Close each piece separately, so that the gap between the two lungs is not filled.
    pieces, count = ndimage.label(kept)
    closed = np.zeros_like(kept)
    for number in range(1, count + 1):
        closed |= _closed(pieces == number, _CLOSING * side)
    return _small_holes_filled(closed, _LARGEST_HOLE * image.size)


def _without_outside_air(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove dark pieces that are in a corner or mostly along the border; a lung may touch the border."""
    pieces, count = ndimage.label(dark)
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    border = np.zeros(dark.shape, dtype=bool)
    border[[0, -1]] = True
    border[:, [0, -1]] = True
    contact = np.bincount(pieces[border], minlength=count + 1)
    outside = contact > _BORDER * np.sqrt(areas)
    outside[pieces[[0, 0, -1, -1], [0, -1, 0, -1]]] = True
    outside[0] = True
    return ~outside[pieces]


def _without_airways(pieces: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mask of the numbered pieces, without the small round ones between the lungs."""
    kept = pieces > 0
    columns = np.flatnonzero(kept.any(axis=0))
    middle = (columns[0] + columns[-1]) / 2 if len(columns) else 0.0
    for piece in regionprops(pieces):
        central = abs(piece.centroid[1] - middle) < _MIDDLE * pieces.shape[1]
        if central and piece.area < _LARGEST_AIRWAY * pieces.size and piece.solidity > _ROUND:
            kept[pieces == piece.label] = False
    return kept


def _tips(thin: NDArray[np.bool_], lungs: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin parts that touch lungs and no other pieces."""
    pieces, _ = ndimage.label(thin)
    near_lungs = np.unique(pieces[ndimage.binary_dilation(lungs)])
    near_others = np.unique(pieces[ndimage.binary_dilation(others)])
    numbers = np.setdiff1d(near_lungs, near_others)
    return np.isin(pieces, numbers[numbers > 0])


def _opened(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Opening with a disc; outside the image, the mask continues with its border values."""
    return ~_closed(~mask, radius)


def _closed(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Closing with a disc, by distance transforms, so that the time does not depend on the radius."""
    reach = int(np.ceil(radius)) + 1
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return mask
    box = (
        slice(max(rows[0] - reach, 0), rows[-1] + reach + 1),
        slice(max(columns[0] - reach, 0), columns[-1] + reach + 1),
    )
    padded = np.pad(mask[box], reach, mode="edge")
    grown = ndimage.distance_transform_edt(~padded) <= radius
    shrunk = ndimage.distance_transform_edt(grown) > radius
    out = mask.copy()
    out[box] |= shrunk[reach:-reach, reach:-reach]
    return out


def _small_holes_filled(mask: NDArray[np.bool_], largest: float) -> NDArray[np.bool_]:
    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if count == 0:
        return mask
    areas = np.bincount(holes.ravel(), minlength=count + 1)
    areas[0] = 0
    return mask | np.isin(holes, np.flatnonzero((areas > 0) & (areas <= largest)))
