# pyright: reportAttributeAccessIssue=false
"""USD: the mesh with its head's pose and its expression, and the camera, as time samples.

    /Shot            scope, with whose model it is
    /Shot/Camera     at the origin; film back of 36 mm
    /Shot/Head       one transform a frame: the head's pose
    /Shot/Head/Face  head-local points a frame; hidden where the mesh does not fit

Time codes are frames of the clip. Needs `usd-core` (extra `film`).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from core.camera import Camera
from core.rotation import matrix_from_axis_angle
from core.serial import atomic_path
from face3d.export.take import Take

FILM_BACK_MM = 36.0
TENTHS_OF_METRE = 0.01
"""USD counts lengths of the lens in tenths of the scene's unit, here of a metre."""


def write(take: Take, path: Path) -> None:
    """Write one stage; `.usda` is text, `.usd` and `.usdc` are binary."""
    track = take.track
    with atomic_path(path) as temporary:
        temporary.unlink()  # a stage makes its own file
        stage = Usd.Stage.CreateNew(str(temporary))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(float(track.fps))
        stage.SetFramesPerSecond(float(track.fps))
        stage.SetStartTimeCode(track.start)
        stage.SetEndTimeCode(track.start + len(track) - 1)
        shot = UsdGeom.Xform.Define(stage, "/Shot").GetPrim()
        stage.SetDefaultPrim(shot)
        shot.SetCustomDataByKey("redub:rate", str(track.fps))
        for key, value in take.face.facts.items():
            shot.SetCustomDataByKey(f"redub:face_model:{key}", value)
        _add_camera(stage, track.camera)
        _add_head(stage, take)
        stage.GetRootLayer().Save()
        del stage


def _add_camera(stage: Any, camera: Camera) -> None:
    seen = UsdGeom.Camera.Define(stage, "/Shot/Camera")
    per_pixel = FILM_BACK_MM * TENTHS_OF_METRE / camera.width
    seen.CreateFocalLengthAttr(camera.focal * per_pixel)
    seen.CreateHorizontalApertureAttr(camera.width * per_pixel)
    seen.CreateVerticalApertureAttr(camera.height * per_pixel)
    # The offset moves the film: a principal point right of the middle means film to the left.
    seen.CreateHorizontalApertureOffsetAttr((camera.width / 2 - camera.centre[0]) * per_pixel)
    seen.CreateVerticalApertureOffsetAttr((camera.centre[1] - camera.height / 2) * per_pixel)
    seen.CreateClippingRangeAttr(Gf.Vec2f(camera.near_metres, camera.far_metres))


def _add_head(stage: Any, take: Take) -> None:
    face, track = take.face, take.track
    head = UsdGeom.Xform.Define(stage, "/Shot/Head")
    pose = head.AddTransformOp()
    mesh = UsdGeom.Mesh.Define(stage, "/Shot/Head/Face")
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    polygons = face.sculpt.polygons.numpy()
    mesh.CreateFaceVertexCountsAttr(_ints((polygons >= 0).sum(1)))
    mesh.CreateFaceVertexIndicesAttr(_ints(polygons[polygons >= 0]))
    if len(face.sculpt.uv_polygons):
        texture = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        texture.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(face.sculpt.uv.numpy())))
        texture.SetIndices(_ints(face.sculpt.uv_polygons.numpy()[polygons >= 0]))
    points, extent = mesh.CreatePointsAttr(), mesh.CreateExtentAttr()
    visible = mesh.CreateVisibilityAttr()
    rotations = matrix_from_axis_angle(track.motion.rotation.double()).numpy()
    shown = None
    for index in range(len(track)):
        code = Usd.TimeCode(track.start + index)
        here = track.motion[index : index + 1]
        local = np.ascontiguousarray(face.local(track.identity, here)[0].to(torch.float32).numpy())
        points.Set(Vt.Vec3fArray.FromNumpy(local), code)
        corners = np.stack([local.min(0), local.max(0)])
        extent.Set(Vt.Vec3fArray.FromNumpy(corners), code)
        # USD's matrices act on row vectors.
        matrix = np.eye(4)
        matrix[:3, :3] = rotations[index].T
        matrix[3, :3] = track.motion.translation[index].double().numpy()
        pose.Set(Gf.Matrix4d(matrix.tolist()), code)
        if bool(track.valid[index]) is not shown:
            shown = bool(track.valid[index])
            visible.Set(UsdGeom.Tokens.inherited if shown else UsdGeom.Tokens.invisible, code)


def _ints(values: np.ndarray) -> Any:
    return Vt.IntArray.FromNumpy(np.ascontiguousarray(values, np.int32))
