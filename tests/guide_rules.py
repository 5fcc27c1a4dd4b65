"""The rules of diffusers' guides for what the template generates: each with its place, and the check that shows it.

`docs/guides.md` is the table of these rules; `test_guides.py` compares it, and runs every check on generated code. A check
takes the files of a scaffold and returns what breaks the rule. Where the checkout's own gates or another test show a
rule, the rule names them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Files = Mapping[str, str]
Check = Callable[[Files], list[str]]

TRANSFORMER = "models/transformers/transformer_"
STANDARD = "src/diffusers/pipelines/"
MODULAR = "src/diffusers/modular_pipelines/"

#: A mistake that takes the files away.
GONE = "\0"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        guide: The guide that states it.
        text: The rule in one line.
        where: What in the template satisfies it.
        shown_by: A check of this module, or the name of a gate or test that shows it.
        mistake: For a check, an edit of generated code that it must see: part of a path, what is replaced there (a regular
            expression, at its first match), and by what.
    """

    guide: str
    text: str
    where: str
    shown_by: Check | str
    mistake: tuple[str, str, str] | None = None


def python(files: Files, *parts: str) -> Iterator[tuple[str, str, ast.Module]]:
    """The Python files whose path holds one of ``parts``."""
    for path, text in files.items():
        if path.endswith(".py") and any(part in path for part in parts):
            yield path, text, ast.parse(text)


def forbidden(pattern: str, *parts: str) -> Check:
    """A check that no line of the files matches ``pattern``."""
    expression = re.compile(pattern)

    def check(files: Files) -> list[str]:
        return [
            f"{path}:{number}: {line.strip()}"
            for path, text, _ in python(files, *parts)
            for number, line in enumerate(text.splitlines(), 1)
            if expression.search(line)
        ]

    check.__name__ = f"no {pattern}"
    return check


def classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in tree.body if isinstance(node, ast.ClassDef))


def bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base) for base in node.bases]


def methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}


def assigned(node: ast.ClassDef) -> dict[str, ast.expr]:
    return {
        target.id: item.value
        for item in node.body
        if isinstance(item, ast.Assign)
        for target in item.targets
        if isinstance(target, ast.Name)
    }


def decorators(node: ast.FunctionDef) -> list[str]:
    return [ast.unparse(item) for item in node.decorator_list]


def model_class(tree: ast.Module) -> ast.ClassDef:
    """The transformer of its module."""
    return next(node for node in classes(tree) if "ModelMixin" in bases(node))


def pipelines(files: Files) -> Iterator[tuple[str, ast.ClassDef]]:
    """The standard pipeline classes."""
    for path, _, tree in python(files, STANDARD):
        yield from ((path, node) for node in classes(tree) if "DiffusionPipeline" in bases(node))


def blocks(files: Files) -> Iterator[tuple[str, ast.ClassDef]]:
    """The block classes of the modular pipeline."""
    for path, _, tree in python(files, MODULAR):
        yield from ((path, node) for node in classes(tree) if any("PipelineBlocks" in base for base in bases(node)))


# Models


def declares_what_features_need(files: Files) -> list[str]:
    wanted = {
        "_supports_gradient_checkpointing",
        "_no_split_modules",
        "_repeated_blocks",
        "_skip_layerwise_casting_patterns",
        "_cp_plan",
    }
    return [
        f"{path}: {name} is not declared"
        for path, _, tree in python(files, TRANSFORMER)
        if "tests/" not in path
        for name in sorted(wanted - set(assigned(model_class(tree))))
    ]


def repeated_blocks_are_classes_here(files: Files) -> list[str]:
    found = []
    for path, _, tree in python(files, f"src/diffusers/{TRANSFORMER}"):
        names = {node.name for node in classes(tree)}
        for name in ast.literal_eval(assigned(model_class(tree))["_repeated_blocks"]):
            if name not in names:
                found.append(f"{path}: _repeated_blocks names {name}, which is no class here")
    return found


def checkpointing_is_implemented(files: Files) -> list[str]:
    return [
        f"{path}: forward never calls _gradient_checkpointing_func"
        for path, _, tree in python(files, f"src/diffusers/{TRANSFORMER}")
        if "self._gradient_checkpointing_func(" not in ast.unparse(methods(model_class(tree))["forward"])
    ]


def attention_is_the_house_pattern(files: Files) -> list[str]:
    found = []
    for path, text, tree in python(files, f"src/diffusers/{TRANSFORMER}"):
        attention = [node for node in classes(tree) if "AttentionModuleMixin" in bases(node)]
        if not attention or "dispatch_attention_fn(" not in text:
            found.append(f"{path}: no attention class with dispatch_attention_fn")
        for node in attention:
            lacking = {"_default_processor_cls", "_available_processors"} - set(assigned(node))
            found += [f"{path}: {node.name} lacks {name}" for name in sorted(lacking)]
    return found


def every_argument_of_forward_is_used(files: Files) -> list[str]:
    found = []
    for path, _, tree in python(files, f"src/diffusers/{TRANSFORMER}"):
        for node in classes(tree):
            for name, function in methods(node).items():
                if name not in ("forward", "__call__", "__init__"):
                    continue
                used = {item.id for item in ast.walk(function) if isinstance(item, ast.Name)}
                # What `@register_to_config` stores is read from the configuration; `@apply_lora_scale` reads its argument.
                decorated = " ".join(decorators(function))
                for argument in function.args.args[1:] + function.args.kwonlyargs:
                    stored = "register_to_config" in decorated and f"self.config.{argument.arg}" in ast.unparse(tree)
                    if (
                        argument.arg not in used
                        and not stored
                        and f'"{argument.arg}"' not in decorated.replace("'", '"')
                    ):
                        found.append(f"{path}: {node.name}.{name} ignores {argument.arg}")
    return found


def layers_are_called_in_forward(files: Files) -> list[str]:
    """No private helper hides layers: the model has the methods of the house and no others."""
    return [
        f"{path}: {node.name}.{name} hides code from forward"
        for path, _, tree in python(files, f"src/diffusers/{TRANSFORMER}")
        for node in classes(tree)
        for name in methods(node)
        if name not in ("__init__", "forward", "__call__")
    ]


# Standard pipelines


def call_has_no_grad(files: Files) -> list[str]:
    return [
        f"{path}: {node.name}.__call__ lacks @torch.no_grad()"
        for path, node in pipelines(files)
        if "torch.no_grad()" not in decorators(methods(node)["__call__"])
    ]


def no_pipeline_subclasses_another(files: Files) -> list[str]:
    return [
        f"{path}: {node.name} derives from {base}"
        for path, node in pipelines(files)
        for base in bases(node)
        if base.endswith("Pipeline") and base != "DiffusionPipeline"
    ]


def one_class_per_pipeline_file(files: Files) -> list[str]:
    found: dict[str, int] = {}
    for path, _ in pipelines(files):
        found[path] = found.get(path, 0) + 1
    return [f"{path}: {count} pipelines" for path, count in found.items() if count > 1]


def properties_are_state_of_a_call(files: Files) -> list[str]:
    found = []
    for path, node in pipelines(files):
        for name, function in methods(node).items():
            if "property" in decorators(function) and "config" in ast.unparse(function):
                found.append(f"{path}: {node.name}.{name} is a property of the configuration")
    return found


def lifecycle_steps_are_public(files: Files) -> list[str]:
    found = []
    for path, node in pipelines(files):
        call = ast.unparse(methods(node)["__call__"])
        for name in methods(node):
            if name.startswith("_") and not name.startswith("__") and f"self.{name}(" in call:
                found.append(f"{path}: {node.name}.__call__ calls {name}, a step of the lifecycle")
    return found


def callback_arguments_are_a_loop(files: Files) -> list[str]:
    return [
        f"{path}: no loop over callback_on_step_end_tensor_inputs"
        for path, node in pipelines(files)
        if "for k in callback_on_step_end_tensor_inputs:" not in ast.unparse(methods(node)["__call__"])
    ]


# Modular pipelines


def modular_imports_no_standard_pipeline(files: Files) -> list[str]:
    return [
        f"{path}:{node.lineno}: imports {node.module}"
        for path, _, tree in python(files, MODULAR)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and (re.match(r"(diffusers\.)?pipelines\b", node.module) or (node.level == 2 and "." in node.module))
    ]


def blocks_write_only_what_they_declare(files: Files) -> list[str]:
    found = []
    for path, node in blocks(files):
        declared = set(re.findall(r"(?:Output|Input)Param(?:\.template)?\(\s*'(\w+)'", ast.unparse(node)))
        # The steps of a loop share their state; what they write is declared by the loop or by one another.
        call = methods(node).get("__call__")
        if call is None or len(call.args.args) > 3:
            continue
        for item in ast.walk(call):
            stored = isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Store)
            if stored and ast.unparse(item.value) == "block_state" and item.attr not in declared:
                found.append(f"{path}: {node.name} writes {item.attr} and does not declare it")
    return found


def guiders_are_configured_by_users(files: Files) -> list[str]:
    found = []
    guided = any("guider" in text for _, text, _ in python(files, MODULAR))
    for path, text, _ in python(files, MODULAR):
        if guided and re.search(r"InputParam(\.template)?\(\s*\"guidance_scale\"", text):
            found.append(f"{path}: guidance_scale is an input beside a guider")
        if "guider.guidance_scale" in text:
            found.append(f"{path}: a block sets the guider's scale")
    return found


def every_block_names_the_model(files: Files) -> list[str]:
    found = []
    keys: set[str] = set()
    for path, node in blocks(files):
        named = assigned(node).get("model_name")
        if named is None:
            found.append(f"{path}: {node.name} has no model_name")
        else:
            keys.add(ast.unparse(named))
    return [*found, *([f"blocks have the names {sorted(keys)}"] if len(keys) > 1 else [])]


def the_loop_is_a_loop_of_blocks(files: Files) -> list[str]:
    if not any(path.startswith(MODULAR) for path in files):
        return []
    loops = [node for _, node in blocks(files) if "LoopSequentialPipelineBlocks" in bases(node)]
    return [] if loops else ["no LoopSequentialPipelineBlocks"]


def vae_encoder_is_a_block_of_its_own(files: Files) -> list[str]:
    """Where images go in, encoders.py encodes them and nothing else calls the autoencoder's encode."""
    return [
        f"{path}: encodes, which is the work of encoders.py"
        for path, text, _ in python(files, MODULAR)
        if not path.endswith("/encoders.py") and re.search(r"vae\.encode\(|retrieve_latents\(components", text)
    ]


def encoders_do_not_repeat_per_prompt(files: Files) -> list[str]:
    return [
        f"{path}: {node.name} knows num_images_per_prompt"
        for path, node in blocks(files)
        if path.endswith("/encoders.py") and re.search(r"num_\w+_per_prompt", ast.unparse(node))
    ]


def auto_docstrings_stand_above_blocks(files: Files) -> list[str]:
    found = []
    for path, node in blocks(files):
        lines = files[path].splitlines()
        first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
        loop_step = (call := methods(node).get("__call__")) is not None and len(call.args.args) > 3
        wrapper = "LoopSequentialPipelineBlocks" in bases(node)
        if not loop_step and not wrapper and "# auto_docstring" not in lines[first - 2]:
            found.append(f"{path}:{first}: {node.name} has no # auto_docstring")
    return found


# Tests


def each_mixin_has_its_own_class(files: Files) -> list[str]:
    return [
        f"{path}: {node.name} mixes {found}"
        for path, _, tree in python(files, "tests/")
        for node in classes(tree)
        if len(found := [base for base in bases(node) if base.endswith("TesterMixin")]) > 1
    ]


def layers_have_tests(files: Files) -> list[str]:
    wanted = {
        f"src/diffusers/{TRANSFORMER}": "tests/models/transformers/test_models_transformer_",
        f"{STANDARD}": "tests/pipelines/",
        f"{MODULAR}": "tests/modular_pipelines/",
        "src/diffusers/models/autoencoders/": "tests/models/autoencoders/test_models_",
        "src/diffusers/schedulers/": "tests/schedulers/test_scheduler_",
    }
    return [
        f"{source} has no test in {test}"
        for source, test in wanted.items()
        if any(path.startswith(source) for path in files) and not any(path.startswith(test) for path in files)
    ]


def every_pipeline_has_a_test_file(files: Files) -> list[str]:
    found = []
    for path, _ in pipelines(files):
        stem = path.rpartition("/")[2]
        if not any(one.startswith("tests/pipelines/") and one.endswith(f"/test_{stem}") for one in files):
            found.append(f"{path} has no test_{stem}")
    return found


def dummies_are_seeded(files: Files) -> list[str]:
    found = []
    for path, _, tree in python(files, "tests/pipelines/"):
        for node in classes(tree):
            function = methods(node).get("get_dummy_components")
            if function and "torch.manual_seed(0)" not in ast.unparse(function):
                found.append(f"{path}: get_dummy_components is not seeded")
    return found


RULES: tuple[Rule, ...] = (
    Rule(
        "models.md",
        "Layer calls stand in `forward`; no helper hides them",
        "`transformer_<model>.py`",
        layers_are_called_in_forward,
        (
            "src/diffusers/models/transformers/",
            "    def forward\\(",
            "    def _embed(self, x):\n        return self.proj_out(x)\n\n    def forward(",
        ),
    ),
    Rule(
        "models.md",
        "No NumPy and no graph break in `forward`: it compiles with `fullgraph=True`",
        "`transformer_<model>.py`",
        forbidden(r"\bnumpy\b|\bnp\.|\.item\(\)|\.tolist\(\)", f"src/diffusers/{TRANSFORMER}"),
        ("src/diffusers/models/transformers/", "\\Z", "\nimport numpy as np\n"),
    ),
    Rule(
        "models.md",
        "No new dependency such as einops",
        "everywhere",
        forbidden(r"\beinops\b", "src/", "scripts/"),
        ("src/diffusers/models/transformers/", "\\Z", "\nfrom einops import rearrange\n"),
    ),
    Rule(
        "models.md",
        "The whole model in one file; shared layers are imported or `# Copied from`",
        "`transformer_<model>.py`",
        "gate check_copies",
    ),
    Rule(
        "models.md",
        "Attention class and processor of the model's own, with `dispatch_attention_fn`",
        "`<Model>Attention`, `<Model>AttnProcessor`",
        attention_is_the_house_pattern,
        ("src/diffusers/models/transformers/", "    _available_processors = .*\\n", ""),
    ),
    Rule(
        "models.md",
        "No mask argument, or any other, that is ignored",
        "`forward`",
        every_argument_of_forward_is_used,
        (
            "src/diffusers/models/transformers/",
            "        timestep: torch.Tensor,\\n",
            "        timestep: torch.Tensor,\n        attention_mask: torch.Tensor,\n",
        ),
    ),
    Rule(
        "models.md",
        "Feature attributes are declared: checkpointing, splitting, repeated blocks, casting, context parallelism",
        "head of the transformer class",
        declares_what_features_need,
        ("src/diffusers/models/transformers/", "    _no_split_modules = .*\\n", ""),
    ),
    Rule(
        "models.md",
        "`_repeated_blocks` names classes exactly",
        "head of the transformer class",
        repeated_blocks_are_classes_here,
        ("src/diffusers/models/transformers/", '_repeated_blocks = \\["', '_repeated_blocks = ["My'),
    ),
    Rule(
        "models.md",
        "A capability flag has its implementation (gradient checkpointing)",
        "`forward`",
        checkpointing_is_implemented,
        ("src/diffusers/models/transformers/", "self\\._gradient_checkpointing_func\\(", "self.run("),
    ),
    Rule(
        "models.md",
        "`_cp_plan` follows the data flow",
        "`_cp_plan`",
        "tests/test_generated_code.py::test_generated_code_computes_what_it_should",
    ),
    Rule(
        "models.md",
        "Casts follow the input's dtype, never a weight's",
        "`forward`",
        forbidden(r"\.weight\.dtype", f"src/diffusers/{TRANSFORMER}"),
        ("src/diffusers/models/transformers/", "\\Z", "\nx = y.to(self.proj_out.weight.dtype)\n"),
    ),
    Rule(
        "models.md",
        "No float64",
        "rotary and timestep embeddings",
        forbidden(r"float64|\.double\(\)", f"src/diffusers/{TRANSFORMER}"),
        ("src/diffusers/models/transformers/", "\\Z", "\nx = torch.arange(3, dtype=torch.float64)\n"),
    ),
    Rule(
        "models.md",
        "No `torch.empty` for parameters",
        "modules",
        forbidden(r"torch\.empty\(", "src/diffusers/models/"),
        ("src/diffusers/models/transformers/", "\\Z", "\nx = torch.empty(3)\n"),
    ),
    Rule(
        "models.md",
        "Loading through `from_pretrained` and `from_single_file` only",
        "no loading code of its own",
        forbidden(r"def from_pretrained|load_file\(|hf_hub_download\(|sys\.path", "src/diffusers/models/"),
        ("src/diffusers/models/transformers/", "\\Z", "\nx = load_file(path)\n"),
    ),
    Rule("models.md", "Classes are registered in both halves of every lazy init", "registered", "gate import, lazy"),
    Rule(
        "pipelines.md",
        "`@torch.no_grad()` on `__call__`",
        "every pipeline",
        call_has_no_grad,
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "    @torch\\.no_grad\\(\\)\\n", ""),
    ),
    Rule(
        "pipelines.md",
        "and nowhere else",
        "helpers of pipelines",
        forbidden(r"with torch\.no_grad\(\)", STANDARD),
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "\\Z", "\nwith torch.no_grad():\n    pass\n"),
    ),
    Rule(
        "pipelines.md",
        "Values of a configuration are set in `__init__`; properties are state of a call",
        "`vae_scale_factor`",
        properties_are_state_of_a_call,
        (
            "src/diffusers/pipelines/foo/pipeline_foo.py",
            "    @property\\n    def guidance_scale",
            "    @property\n    def size(self):\n        return self.vae.config.sample_size\n\n    @property\n    def guidance_scale",
        ),
    ),
    Rule(
        "pipelines.md",
        "The scheduler steps; no Euler step by hand",
        "`scheduler.step`",
        forbidden(r"latents - sigma", STANDARD),
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "\\Z", "\nlatents = latents - sigma * noise_pred\n"),
    ),
    Rule(
        "pipelines.md",
        "No pipeline derives from another",
        "one class per task",
        no_pipeline_subclasses_another,
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "\\(DiffusionPipeline", "(FluxPipeline, DiffusionPipeline"),
    ),
    Rule(
        "pipelines.md",
        "One file and one class per variant",
        "`pipeline_<model>_<variant>.py`",
        one_class_per_pipeline_file,
        (
            "src/diffusers/pipelines/foo/pipeline_foo.py",
            "\\Z",
            "\nclass SecondPipeline(DiffusionPipeline):\n    pass\n",
        ),
    ),
    Rule("pipelines.md", "Copied methods say `# Copied from`", "pipelines beside the first", "gate check_copies"),
    Rule(
        "pipelines.md",
        "What `__call__` calls is public",
        "lifecycle methods",
        lifecycle_steps_are_public,
        (
            "src/diffusers/pipelines/foo/pipeline_foo.py",
            "def check_inputs([\\s\\S]*)self\\.check_inputs\\(",
            "def _check_inputs\\1self._check_inputs(",
        ),
    ),
    Rule(
        "pipelines.md",
        "Components are not changed on the fly",
        "`__call__`",
        forbidden(r"self\.(transformer|vae|text_encoder|tokenizer)\.(to\(|eval\(|requires_grad_\(|\w+ = )", STANDARD),
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "\\Z", "\nself.vae.to(torch.float32)\n"),
    ),
    Rule(
        "pipelines.md",
        "`callback_kwargs` is built with a loop",
        "`__call__`",
        callback_arguments_are_a_loop,
        (
            "src/diffusers/pipelines/foo/pipeline_foo.py",
            "for k in callback_on_step_end_tensor_inputs:",
            "for k in ():",
        ),
    ),
    Rule(
        "pipelines.md",
        "Noise is drawn with `randn_tensor`",
        "`prepare_latents`",
        forbidden(r"torch\.randn\(|torch\.randn_like\(", STANDARD, MODULAR),
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "\\Z", "\nx = torch.randn(3)\n"),
    ),
    Rule(
        "modular.md",
        "No import from standard pipelines or from another model's modular pipeline",
        "`modular_pipelines/<model>/`",
        modular_imports_no_standard_pipeline,
        (
            "src/diffusers/modular_pipelines/foo/denoise.py",
            "\\Z",
            "\nfrom ...pipelines.flux import FluxPipeline\nfrom ..flux.denoise import FluxDenoiseStep\n",
        ),
    ),
    Rule(
        "modular.md",
        "Users configure the guider; `guidance_scale` is an input only where there is no guider",
        "`denoise.py`",
        guiders_are_configured_by_users,
        ("src/diffusers/modular_pipelines/foo/denoise.py", "\\Z", "\ncomponents.guider.guidance_scale = 3.0\n"),
    ),
    Rule(
        "modular.md",
        "The denoising loop is a `LoopSequentialPipelineBlocks`",
        "`denoise.py`",
        the_loop_is_a_loop_of_blocks,
        (
            "src/diffusers/modular_pipelines/foo/denoise.py",
            "\\(LoopSequentialPipelineBlocks\\)",
            "(SequentialPipelineBlocks)",
        ),
    ),
    Rule(
        "modular.md",
        "Encoding images is a block of its own",
        "`encoders.py`",
        vae_encoder_is_a_block_of_its_own,
        ("src/diffusers/modular_pipelines/foo/denoise.py", "\\Z", "\nx = components.vae.encode(image)\n"),
    ),
    Rule(
        "modular.md",
        "Encoders give outputs per prompt; an input step repeats them",
        "`encoders.py`, `before_denoise.py`",
        encoders_do_not_repeat_per_prompt,
        (
            "src/diffusers/modular_pipelines/foo/encoders.py",
            'InputParam\\.template\\("prompt"\\)',
            'InputParam.template("prompt"), InputParam.template("num_images_per_prompt")',
        ),
    ),
    Rule(
        "modular.md",
        "Blocks write only what they declare",
        "every block",
        blocks_write_only_what_they_declare,
        (
            "src/diffusers/modular_pipelines/foo/before_denoise.py",
            "        self\\.set_block_state\\(state, block_state\\)",
            "        block_state.hidden = 1\n        self.set_block_state(state, block_state)",
        ),
    ),
    Rule(
        "modular.md",
        "Never `state.set()`",
        "every block",
        forbidden(r"\bstate\.set\(", MODULAR),
        ("src/diffusers/modular_pipelines/foo/denoise.py", "\\Z", '\nstate.set("x", 1)\n'),
    ),
    Rule(
        "modular.md",
        "No defensive reading of what is declared",
        "every block",
        forbidden(r"(get|has)attr\((block_state|components)\b", MODULAR),
        ("src/diffusers/modular_pipelines/foo/denoise.py", "\\Z", '\nx = getattr(components, "vae", None)\n'),
    ),
    Rule(
        "modular.md",
        "Components are specified, not made inline",
        "`expected_components`",
        forbidden(r"\b(VaeImage|Video)Processor\(", MODULAR),
        ("src/diffusers/modular_pipelines/foo/decoders.py", "\\Z", "\nx = VaeImageProcessor(8)\n"),
    ),
    Rule(
        "modular.md",
        "Every block has the model's `model_name`",
        "every block",
        every_block_names_the_model,
        ("src/diffusers/modular_pipelines/foo/denoise.py", '    model_name = "foo"\\n', ""),
    ),
    Rule(
        "modular.md",
        "`# auto_docstring` above blocks",
        "every block",
        auto_docstrings_stand_above_blocks,
        ("src/diffusers/modular_pipelines/foo/decoders.py", "# auto_docstring\\n", ""),
    ),
    Rule(
        "modular.md",
        "and docstrings as the tool writes them, without a TODO",
        "every block",
        "gate modular_auto_docstring",
    ),
    Rule(
        "modular.md",
        "Every argument of `forward` and `__call__` is documented",
        "docstrings",
        "gate check_forward_call_docstrings",
    ),
    Rule(
        "testing.md",
        "Every layer has its tests",
        "`tests/`",
        layers_have_tests,
        ("tests/models/transformers/", "[\\s\\S]*", GONE),
    ),
    Rule(
        "testing.md",
        "One test file per pipeline variant",
        "`tests/pipelines/<model>/`",
        every_pipeline_has_a_test_file,
        ("tests/pipelines/foo/test_pipeline_foo.py", "[\\s\\S]*", GONE),
    ),
    Rule(
        "testing.md",
        "pytest style: no unittest, no monkeypatching, no mocks",
        "`tests/`",
        forbidden(
            r"unittest|monkeypatch|MagicMock|mock\.patch",
            "tests/models/",
            "tests/pipelines/",
            "tests/modular_pipelines/",
        ),
        ("tests/pipelines/foo/test_pipeline_foo.py", "\\Z", "\nimport unittest\n"),
    ),
    Rule(
        "testing.md",
        "One class per mixin",
        "`tests/`",
        each_mixin_has_its_own_class,
        (
            "tests/pipelines/foo/test_pipeline_foo.py",
            "PipelineTesterMixin\\):",
            "PipelineTesterMixin, MemoryTesterMixin):",
        ),
    ),
    Rule(
        "testing.md",
        "Dummy components are seeded",
        "`get_dummy_components`",
        dummies_are_seeded,
        (
            "tests/pipelines/foo/test_pipeline_foo.py",
            "(?s)torch\\.manual_seed\\(0\\)(.*)torch\\.manual_seed\\(0\\)(.*)torch\\.manual_seed\\(0\\)",
            "pass\\1pass\\2pass",
        ),
    ),
    Rule(
        "testing.md",
        "No slow, nightly or LoRA tests in a first pull request",
        "`tests/`",
        forbidden(r"@slow|@nightly|LoraTesterMixin|RUN_SLOW", "tests/"),
        ("tests/pipelines/foo/test_pipeline_foo.py", "\\Z", "\n@slow\ndef test(): ...\n"),
    ),
    Rule(
        "testing.md",
        "No numeric slices",
        "`tests/`",
        forbidden(r"expected_slice|np\.array\(\[", "tests/"),
        ("tests/pipelines/foo/test_pipeline_foo.py", "\\Z", "\nexpected_slice = 1\n"),
    ),
    Rule(
        "code_style.md",
        "No defensive code, unused path or legacy stub",
        "everywhere",
        forbidden(r"except Exception|except:\s*$|# type: ignore|NotImplementedError", "src/"),
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "\\Z", "\ntry:\n    pass\nexcept Exception:\n    pass\n"),
    ),
    Rule("code_style.md", "Linted and formatted", "everywhere", "gate ruff check"),
    Rule(
        "review-rules.md",
        "No ephemeral context, and no path of a developer",
        "everywhere",
        forbidden(r"/home/|/Users/|per review|as discussed", "src/", "tests/", "scripts/"),
        ("src/diffusers/pipelines/foo/pipeline_foo.py", "\\Z", "\n# as discussed in review\n"),
    ),
    Rule(
        "SKILL.md",
        "The conversion script saves and loads back",
        "`scripts/`",
        "tests/test_generated_code.py::test_generated_code_computes_what_it_should",
    ),
    Rule(
        "SKILL.md",
        "The parity harness does not ship",
        "`.scaffold/<model>/parity.py`",
        "tests/test_main_job.py::test_green_from_birth",
    ),
)


def broken(rule: Rule, files: Files) -> dict[str, str]:
    """The files with the mistake that a rule's check must see; a file that is emptied is gone."""
    assert rule.mistake is not None
    part, pattern, replacement = rule.mistake
    path = next(path for path in files if part in path and re.search(pattern, files[path]))
    if replacement == GONE:
        return {one: text for one, text in files.items() if part not in one}
    return {**files, path: re.sub(pattern, replacement, files[path], count=1)}


def table() -> str:
    """The rules as the page of the docs shows them."""
    rows = ["| guide | rule | where | shown by |", "| --- | --- | --- | --- |"]
    for rule in RULES:
        shown = rule.shown_by if isinstance(rule.shown_by, str) else f"check `{rule.shown_by.__name__}`"
        # A bar inside a cell would end it.
        rows.append(f"| {rule.guide} | {rule.text} | {rule.where} | {shown.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"
