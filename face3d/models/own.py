"""Our own model seen as others are: its mesh is what leaves the house."""

import torch
from scipy import sparse

from face3d.morphable import MorphableModel
from face3d.retopology import FaceModel
from face3d.sculpt import Part, Sculpt
from face3d.topology import LANDMARKS


def own_model(model: MorphableModel) -> FaceModel:
    """A model in redub's form, with its own mesh as the sculpt."""
    corners = model.triangles
    polygons = torch.cat([corners, torch.full_like(corners[:, :1], -1)], 1)
    inside = model.inside[corners.long()].all(1)
    names = [f"mouth{i:02}" for i in range(len(model.mouth))]
    names += [f"upper{i:02}" for i in range(len(model.upper))]
    sculpt = Sculpt(
        name=model.about.get("name", "redub"),
        licence=model.about.get("licence", "Apache-2.0"),
        neutral=model.mean,
        identity=model.identity,
        expression=torch.cat([model.mouth, model.upper]),
        expression_names=tuple(model.about.get("shapes", names)),
        local=False,
        ajar=torch.nn.functional.one_hot(torch.tensor(0), len(names)).float(),
        polygons=polygons,
        part=torch.where(inside, int(Part.MOUTH), int(Part.SKIN)).int(),
        uv=model.uv * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0]),
        uv_polygons=polygons,
    )
    carried = torch.cat([torch.eye(LANDMARKS), model.attachment])
    return FaceModel(model, sculpt, sparse.csr_matrix(carried.numpy()))
