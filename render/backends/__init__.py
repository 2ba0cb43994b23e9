"""Implementations of the visibility contract of `render.visibility`, and two numbers they share.

`SMALLEST_DETERMINANT`: a triangle whose (x, y, w) determinant is not above this share of the
product of its corners' 1-norms has no area, and covers nothing.
`DEPTH_STEPS`: z/w is compared in steps of 1/DEPTH_STEPS, so that rounding in the last bits cannot
decide between coplanar triangles.
"""

SMALLEST_DETERMINANT = 1e-12
DEPTH_STEPS = 2.0**40
