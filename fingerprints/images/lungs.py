"""The default lung mask: thresholding and morphology, nothing that is trained.

An axial CT slice of the chest shows dark lungs inside a brighter body, whatever the window. The steps are
the usual ones (Hu et al. 2001, Automatic lung segmentation for accurate quantitation of volumetric X-ray CT
images, sections II-A to II-C): a threshold between the two, the air around the body and the airways taken
out, vessels and the bays that they cut into the outline filled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

# Lengths as shares of the side, areas as shares of the picture; found on slices of 256 x 256.
_WORKING = 256  # pixels
_TOWARDS_BODY = 0.3  # how far the threshold lies from Otsu's towards the mean of the body
_CLOSING = 10 / 256  # radius: bays that vessels and pleural nodules cut into the outline are shallower
_OPENING = 1.0 / 256  # radius: what joins lungs to each other or to the airways is thinner
_LEAST_LUNG = 0.0008  # pieces of a lung near the diaphragm are small, gas in the bowel is smaller
_LEAST_OF_LARGEST = 0.01
_LARGEST_HOLE = 0.03  # of the picture: a vessel or a tumour, never the heart
_BORDER = 1.2  # contact with the picture's border over the root of the area: more is air around the body
_LARGEST_AIRWAY, _MIDDLE = 0.008, 0.12  # area of a windpipe; how far from the middle of the lungs it lies
_ROUND = 0.88  # solidity of an airway's cross-section


def lung_masks(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """`(n, S, S)` uint8 slices to `(n, S, S)` masks; one without a dark piece inside a body is empty."""
    return np.stack([lung_mask(image) for image in images]) if len(images) else images.astype(bool)


def lung_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The lungs of one `(S, S)` uint8 slice, `(S, S)`; empty where nothing looks like them.

    Slices larger than 256 pixels a side are looked at in that size: the mask gains nothing, the time grows.
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
    # Above the middle: a pixel that is half lung, half wall counts as lung, and so does hazy lung.
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
    # Each piece on its own: a gap between the two lungs is no bay.
    pieces, count = ndimage.label(kept)
    closed = np.zeros_like(kept)
    for number in range(1, count + 1):
        closed |= _closed(pieces == number, _CLOSING * side)
    return _small_holes_filled(closed, _LARGEST_HOLE * image.size)


def _without_outside_air(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dark pieces without those in a corner or mostly along the border; a lung may touch the border."""
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
    """Numbered pieces without the small round ones between the lungs."""
    kept = pieces > 0
    columns = np.flatnonzero(kept.any(axis=0))
    middle = (columns[0] + columns[-1]) / 2 if len(columns) else 0.0
    for piece in regionprops(pieces):
        central = abs(piece.centroid[1] - middle) < _MIDDLE * pieces.shape[1]
        if central and piece.area < _LARGEST_AIRWAY * pieces.size and piece.solidity > _ROUND:
            kept[pieces == piece.label] = False
    return kept


def _tips(thin: NDArray[np.bool_], lungs: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin parts that join lungs, but not lungs and something else."""
    pieces, _ = ndimage.label(thin)
    near_lungs = np.unique(pieces[ndimage.binary_dilation(lungs)])
    near_others = np.unique(pieces[ndimage.binary_dilation(others)])
    numbers = np.setdiff1d(near_lungs, near_others)
    return np.isin(pieces, numbers[numbers > 0])


def _opened(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Opening with a disc; beyond the border the mask goes on as it ends there."""
    return ~_closed(~mask, radius)


def _closed(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Closing with a disc, by distances: its time does not grow with the radius."""
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
