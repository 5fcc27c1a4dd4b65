from __future__ import annotations

from scaffold_model.older.wording import with_torch_dtype


def test_what_loads_says_torch_dtype() -> None:
    today = (
        'pipe = FooPipeline.from_pretrained("ORG/Foo", dtype=torch.bfloat16)\n'
        "pipe.load_components(dtype=torch.float32)\n"
        'pipe = FooPipeline.from_pretrained(\n    "ORG/Foo",\n    dtype=torch.bfloat16,\n)\n'
        "x = torch.zeros(1, dtype=torch.float32)\n"
        "pipe.from_pretrained(repo).to(dtype=torch.float32)\n"
    )
    older = (
        'pipe = FooPipeline.from_pretrained("ORG/Foo", torch_dtype=torch.bfloat16)\n'
        "pipe.load_components(torch_dtype=torch.float32)\n"
        'pipe = FooPipeline.from_pretrained(\n    "ORG/Foo",\n    torch_dtype=torch.bfloat16,\n)\n'
        "x = torch.zeros(1, dtype=torch.float32)\n"
        "pipe.from_pretrained(repo).to(dtype=torch.float32)\n"
    )
    assert with_torch_dtype(today) == older
    assert with_torch_dtype(older) == older
