"""The stored references. Each file has a function, which returns its tensors by name.

A name is a path, its parts joined by dots. A name that ends in `.sha256` stands for a tensor that is too large to store:
32 bytes, the SHA-256 of its elements in row-major order. For floats there is also NAME.sample, for machines of another
signature: 16 elements and the mean, float64.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import basics as note
import fashion_mnist
import loops
from bits import tensor_bytes
from norms import BATCH_NORMS, NORMS, VARIANTS
from recipes import CHAPTER, LENETS, RECIPES, VGG11, xavier
from resnet import Residual, resnet18, resnet18_cifar

Tensors = dict[str, Tensor]


def digest(tensor: Tensor) -> Tensor:
    """The SHA-256 of a tensor, 32 bytes."""
    return torch.tensor(list(hashlib.sha256(tensor_bytes(tensor)).digest()), dtype=torch.uint8)


def sample(tensor: Tensor) -> Tensor:
    """Sixteen elements, evenly spaced from the first to the last, and the mean of all: float64 (17,)."""
    elements = tensor.detach().flatten().double()
    places = torch.arange(16) * (len(elements) - 1) // 15
    return torch.cat([elements[places], elements.mean(0, keepdim=True)])


def digests(prefix: str, tensors: Tensors) -> Tensors:
    """`PREFIX.NAME.sha256` for every tensor, and for floats `PREFIX.NAME.sample`."""
    kept = {f"{prefix}.{name}.sha256": digest(tensor) for name, tensor in tensors.items()}
    return kept | {
        f"{prefix}.{name}.sample": sample(tensor) for name, tensor in tensors.items() if tensor.is_floating_point()
    }


def rows(name: str, tensors: Tensors) -> Tensors:
    """`NAME.sha256`, the digests of many tensors as rows (n, 32), and `NAME.sample`, their samples as float32 (n, 17)."""
    digest_rows = torch.stack([digest(tensor) for tensor in tensors.values()])
    sample_rows = torch.stack([sample(tensor).float() for tensor in tensors.values()])
    return {f"{name}.sha256": digest_rows, f"{name}.sample": sample_rows}


def by_name(tensors: Tensors) -> Tensors:
    """The tensors sorted by name, as Rust has a state_dict."""
    return dict(sorted(tensors.items()))


def copies(prefix: str, tensors: Tensors) -> Tensors:
    """`PREFIX.NAME` for every tensor: a copy, which later changes do not reach."""
    return {f"{prefix}.{name}": tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def gradients(net: nn.Module) -> Tensors:
    """The gradient of every parameter, by the parameter's name."""
    return {name: parameter.grad for name, parameter in net.named_parameters()}


def peeked_seed() -> int:
    """The seed that the default generator would draw next. The generator does not move."""
    state = torch.get_rng_state()
    seed = fashion_mnist.draw_seed()
    torch.set_rng_state(state)
    return seed


def initial_weights(recipe_name: str, variant: str, seed: int) -> dict[str, Tensors]:
    """A recipe's state_dict as constructed (`default`) and, for a recipe with Xavier, after it (`xavier`)."""
    recipe = RECIPES[recipe_name]
    torch.manual_seed(seed)
    net = recipe.build(variant)
    stages = {"default": {key: tensor.clone() for key, tensor in net.state_dict().items()}}
    if recipe.xavier:
        recipe.initialize(net)
        stages["xavier"] = net.state_dict()
    return stages


def init(recipe: str, seed: int) -> Tensors:
    """STAGE.KEY: the native net's weights as constructed (`default`) and after Xavier (`xavier`)."""
    tensors = {}
    for stage, state in initial_weights(recipe, "native", seed).items():
        tensors |= copies(stage, state)
    return tensors


def init_digests(seeds: list[int]) -> Tensors:
    """RECIPE.VARIANT.SEED.STAGE.KEY.sha256 of all initial weights of LENETS. `adamw` has no stage `xavier`."""
    tensors = {}
    for name in LENETS:
        for variant in VARIANTS:
            for seed in seeds:
                for stage, state in initial_weights(name, variant, seed).items():
                    tensors |= digests(f"{name}.{variant}.{seed}.{stage}", state)
    return tensors


# The inputs of `batch_norm`: the shape of the stored base, and the view of it that is the input.
VIEWS: dict[str, tuple[tuple[int, ...], str, Callable[[Tensor], Tensor]]] = {
    "dense": ((8, 5), "the base", lambda base: base),
    "dense_batch_of_2": ((2, 5), "the base", lambda base: base),
    "dense_transposed": ((5, 8), "base.transpose(0, 1)", lambda base: base.transpose(0, 1)),
    "conv": ((4, 3, 6, 5), "the base", lambda base: base),
    "conv_batch_of_2": ((2, 3, 6, 5), "the base", lambda base: base),
    "conv_channels_last": ((4, 6, 5, 3), "base.permute(0, 3, 1, 2)", lambda base: base.permute(0, 3, 1, 2)),
    "conv_strided": ((4, 3, 6, 10), "base[:, :, :, ::2]", lambda base: base[..., ::2]),
}


def batch_norm(seed: int) -> Tensors:
    """Both batch norms on the inputs of VIEWS: forward, backward, moving statistics, evaluation.

    CASE.base0, base1, base2: the inputs of three training steps are views of these; CASE.gamma, CASE.beta, CASE.W.
    CASE.VARIANT.Y: the first step's output; .grad_X, .grad_gamma, .grad_beta: gradients of (Y * W).sum(); .mean1,
    .var1, .mean3, .var3: moving statistics after one and three steps; .evaluated: the output for the first input in
    evaluation, after the three steps.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for case, (shape, _, view) in VIEWS.items():
        bases = [torch.randn(shape, generator=generator) * 2 + 3 for _ in range(3)]
        channels = view(bases[0]).shape[1]
        gamma, beta = torch.randn(2, channels, generator=generator)
        W = torch.randn(view(bases[0]).shape, generator=generator)
        tensors |= {f"{case}.base{i}": base for i, base in enumerate(bases)}
        tensors |= copies(case, {"gamma": gamma, "beta": beta, "W": W})
        for variant in BATCH_NORMS:
            inputs = [view(base).detach() for base in bases]
            tensors |= copies(f"{case}.{variant}", three_norm_steps(variant, inputs, gamma, beta, W))
    return tensors


def three_norm_steps(variant: str, inputs: list[Tensor], gamma: Tensor, beta: Tensor, W: Tensor) -> Tensors:
    """The results of `batch_norm` for one case and variant."""
    num_dims = inputs[0].dim()
    layer = NORMS[variant](len(gamma), num_dims)
    scale, shift = layer.parameters()
    with torch.no_grad():
        scale.copy_(gamma.reshape(scale.shape))
        shift.copy_(beta.reshape(shift.shape))
    X = inputs[0].requires_grad_()
    Y = layer(X)
    grad_X, grad_gamma, grad_beta = torch.autograd.grad((Y * W).sum(), (X, scale, shift))
    results = {"Y": Y, "grad_X": grad_X, "grad_gamma": grad_gamma, "grad_beta": grad_beta}
    mean, var, *_ = layer.buffers()
    results |= {"mean1": mean.clone(), "var1": var.clone()}
    for later in inputs[1:]:
        layer(later)
    mean, var, *_ = layer.buffers()
    layer.eval()
    with torch.no_grad():
        return results | {"mean3": mean.clone(), "var3": var.clone(), "evaluated": layer(inputs[0])}


def buffers(net: nn.Module) -> Tensors:
    """The running statistics by name."""
    return dict(net.named_buffers())


def evaluated(net: nn.Module, X: Tensor) -> Tensor:
    """The net's output for X in evaluation mode."""
    net.eval()
    with torch.no_grad():
        return net(X)


# The blocks of `residual`: input channels, channels, strides (None: no 1x1 convolution).
BLOCKS: dict[str, tuple[int, int, int | None]] = {
    "identity": (3, 3, None),
    "1x1conv": (3, 6, 1),
    "1x1conv_halving": (3, 6, 2),
}


def residual(seed: int) -> Tensors:
    """Residual blocks on X (4, 3, 6, 6). torch.manual_seed(seed) comes before each block is made.

    X; BLOCK.W; BLOCK.VARIANT.initial.KEY; .Y in training; .grad_X and .grad.KEY of (Y * W).sum(); .moved.KEY, the
    running statistics after that; .evaluated, the output for X in evaluation after that; .adam.KEY.sha256, the
    parameters after a step of Adam.
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 6, 6, generator=generator)
    tensors = {"X": images}
    for name, arguments in BLOCKS.items():
        for variant in VARIANTS:
            torch.manual_seed(seed)
            block = Residual(NORMS[variant], *arguments)
            results = copies("initial", block.state_dict())
            X = images.clone().requires_grad_()
            Y = block(X)
            if f"{name}.W" not in tensors:
                tensors[f"{name}.W"] = torch.randn(Y.shape, generator=generator)
            (Y * tensors[f"{name}.W"]).sum().backward()
            results |= {"Y": Y.detach(), "grad_X": X.grad}
            results |= copies("grad", gradients(block)) | copies("moved", buffers(block))
            results["evaluated"] = evaluated(block, images)
            torch.optim.Adam(block.parameters(), lr=1e-3).step()
            results |= digests("adam", dict(block.named_parameters()))
            tensors |= {f"{name}.{variant}.{part}": tensor for part, tensor in results.items()}
    return tensors


def resnets(seed: int, data_seed: int) -> Tensors:
    """A step of Adam (lr 1e-3, summed loss) of both ResNet-18: `resnet18`, with default weights, on images
    (2, 1, 64, 64), and `resnet18-cifar`, after Xavier, on images (4, 3, 32, 32).

    The batch: torch.manual_seed(data_seed); images = torch.rand(shape); labels = torch.randint(0, 10, (n,)).

    NETWORK.images.sha256, .labels; NETWORK.VARIANT.initial.KEY.sha256, .logits, .loss, .grad.KEY.sha256, .evaluated (the
    logits in evaluation, before the step) and .after.KEY.sha256 (the state_dict after the step).
    """
    tensors = {}
    for name, build, shape in (
        ("resnet18", resnet18, (2, 1, 64, 64)),
        ("resnet18-cifar", lambda norm: resnet18_cifar(norm, 10, 3), (4, 3, 32, 32)),
    ):
        torch.manual_seed(data_seed)
        images, labels = torch.rand(shape), torch.randint(0, 10, shape[:1])
        tensors |= digests(name, {"images": images}) | {f"{name}.labels": labels}
        for variant in VARIANTS:
            torch.manual_seed(seed)
            net = build(NORMS[variant])
            if name == "resnet18-cifar":
                xavier(net)
            prefix = f"{name}.{variant}"
            tensors |= digests(f"{prefix}.initial", net.state_dict())
            logits = net(images)
            loss = nn.functional.cross_entropy(logits, labels, reduction="none").sum()
            loss.backward()
            tensors |= digests(f"{prefix}.grad", gradients(net))
            tensors |= copies(prefix, {"logits": logits, "loss": loss, "evaluated": evaluated(net, images)})
            torch.optim.Adam(net.parameters(), lr=1e-3).step()
            tensors |= digests(f"{prefix}.after", net.state_dict())
    return tensors


# The lists that `pytorch_text` prints: rounding, powers of ten, whole numbers, last lines on
# which a suffix fits and on which it does not.
PRINTED: dict[str, list[float]] = {
    "ties": [0.03125, 0.09375, -0.15625, 2.5, 1000.0],
    "powers": [1e-4, 9e-5, 0.5, 0.0],
    "large": [1.5, 1501.0, 123456.789],
    "wide_range": [0.001, 1.0011],
    "huge": [3e8, -7.0],
    "tiny": [1e-30, -2.5e-38],
    "whole": [0.0, -1.0, 10.0, 12345.0],
    "zeros": [0.0, -0.0],
    "not_finite": [float("nan"), float("inf"), -float("inf"), 0.25],
    "only_infinite": [float("inf"), 0.0],
    "nothing": [],
    **{f"lines_of_{n}": [i / 7 for i in range(n)] for n in range(1, 30)},
    **{f"whole_{n}": [float(i % 3) for i in range(n)] for n in range(12, 30)},
}


def basics(seeds: list[int]) -> Tensors:
    """Batch norm after one forward pass, scaled images, and printed tensors.

    SEED.NAME, the tensors of basics.py; SEED.SHAPE.{x,y,evaluated}.sha256, inputs and outputs; SEED.images.sha256,
    SEED.before.sha256 and SEED.after.sha256, the images. printed.CASE.values; .tensor and .parameter, the `str` in
    UTF-8 of a tensor of these values and of one that requires gradients.
    """
    tensors = {}
    for seed in seeds:
        tensors |= copies(str(seed), note.figures(seed))
        torch.manual_seed(seed)
        for shape in note.SHAPES:
            results = note.named(shape, note.one_pass(shape))
            large = {name: results[name] for name in results if name.endswith((".x", ".y", ".evaluated"))}
            tensors |= digests(str(seed), large)
        images = note.gradient_images()
        before, after = note.scaled_images(images)
        tensors |= digests(str(seed), {"images": images, "before": before, "after": after})
    for case, values in PRINTED.items():
        values = torch.tensor(values)
        tensors[f"printed.{case}.values"] = values
        for name, text in (("tensor", str(values)), ("parameter", str(values.clone().requires_grad_()))):
            tensors[f"printed.{case}.{name}"] = torch.tensor(list(text.encode()), dtype=torch.uint8)
    return tensors


def dropout(seeds: list[int]) -> Tensors:
    """Three calls of nn.Dropout(0.5) after one torch.manual_seed.

    SEED.SHAPE.kept: 1 where an input passes, uint8. For the last shape also SEED.7x3.X, .Y and .grad_X of Y.sum().
    SEED.next_seed: the next seed of the default generator.
    """
    layer = nn.Dropout(0.5)
    tensors = {}
    for seed in seeds:
        torch.manual_seed(seed)
        for rows, columns in ((256, 120), (256, 84)):
            tensors[f"{seed}.{rows}x{columns}.kept"] = layer(torch.ones(rows, columns)).ne(0).to(torch.uint8)
        X = torch.linspace(-1.0, 1.1, 21).reshape(7, 3).requires_grad_()
        Y = layer(X)
        (grad_X,) = torch.autograd.grad(Y.sum(), X)
        kept = grad_X.ne(0).to(torch.uint8)
        tensors |= copies(f"{seed}.7x3", {"kept": kept, "X": X, "Y": Y, "grad_X": grad_X})
        tensors[f"{seed}.next_seed"] = torch.tensor(peeked_seed())
    return tensors


def resize(data_dir: Path) -> Tensors:
    """torchvision's bilinear Resize of the first 1,000 test images to 224x224.

    fashion_mnist.sha256: of the resized images, (1000, 1, 224, 224), uint8.
    """
    images, _ = fashion_mnist.read_tensors(data_dir, fashion_mnist.TEST, 1000)
    return {"fashion_mnist.sha256": digest(fashion_mnist.resized(images, 224))}


def synthetic_batch(batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 28, 28), uint8, and labels (n,), int64: torch.manual_seed, then two calls of randint."""
    torch.manual_seed(seed)
    images = torch.randint(0, 256, (batch_size, 1, 28, 28), dtype=torch.uint8)
    return images, torch.randint(0, 10, (batch_size,))


def first_step(recipe: str, seed: int, data_seed: int, examples: int | None = None) -> Tensors:
    """One training step of a recipe on a synthetic batch: seed, build, initialize, forward, backward, step.

    The batch: torch.manual_seed(data_seed); images = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8); labels
    = torch.randint(0, 10, (n,)), with n = `examples` or the recipe's batch size. The net gets the images as float32,
    divided by 255. A recipe that resizes does so before.

    images.sha256, labels; VARIANT.logits, VARIANT.loss; VARIANT.grad.KEY, for recipes other than `book` .sha256 only;
    VARIANT.after.KEY.sha256, the state_dict after the step.
    """
    keep = copies if recipe == "book" else digests
    trained = RECIPES[recipe]
    images, labels = synthetic_batch(examples or trained.batch_size, data_seed)
    tensors = {"images.sha256": digest(images), "labels": labels}
    if trained.resize is not None:
        images = fashion_mnist.resized(images, trained.resize)
    for variant in VARIANTS:
        torch.manual_seed(seed)
        net = trained.build(variant)
        trained.initialize(net)
        optimizer = trained.optimizer(net.parameters(), trained.lr)
        logits = net(images.to(torch.float32).div(255))
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        tensors |= copies(variant, {"logits": logits, "loss": loss})
        tensors |= keep(f"{variant}.grad", gradients(net))
        optimizer.step()
        tensors |= digests(f"{variant}.after", net.state_dict())
    return tensors


def chapter(recipe: str, seeds: list[int], data_seed: int, examples: int) -> Tensors:
    """Initial weights, and three training steps of a recipe of CHAPTER or VGG11 on one synthetic batch, resized, as in `first_step`.

    VARIANT.initial.SEED, rows of the state_dict, sorted by name; with the first seed VARIANT.logits and VARIANT.grad, rows of the
    gradients in the order of named_parameters, of the first step; VARIANT.losses (3,), and VARIANT.after.sha256, digests of the
    state_dict after the third.
    """
    trained = (CHAPTER | VGG11)[recipe]
    images, labels = synthetic_batch(examples, data_seed)
    tensors = {"images.sha256": digest(images), "labels": labels}
    if trained.resize is not None:
        images = fashion_mnist.resized(images, trained.resize)
    X = images.to(torch.float32).div(255)
    for variant in VARIANTS:
        for seed in reversed(seeds):
            torch.manual_seed(seed)
            net = trained.build(variant)
            trained.initialize(net)
            tensors |= rows(f"{variant}.initial.{seed}", by_name(net.state_dict()))
        optimizer = trained.optimizer(net.parameters(), trained.lr)
        losses = []
        for step in range(3):
            optimizer.zero_grad()
            logits = net(X)
            loss = nn.functional.cross_entropy(logits, labels)
            loss.backward()
            losses.append(loss.detach())
            if step == 0:
                tensors |= copies(variant, {"logits": logits}) | rows(f"{variant}.grad", gradients(net))
            optimizer.step()
        tensors[f"{variant}.losses"] = torch.stack(losses)
        tensors[f"{variant}.after.sha256"] = torch.stack([digest(tensor) for tensor in by_name(net.state_dict()).values()])
    return tensors


def epoch4096(data_dir: Path, seed: int) -> Tensors:
    """One epoch on the first 4,096 training and 1,000 test images, for every variant of the recipes that do not resize.

    RECIPE.VARIANT.{train_loss,train_acc,test_loss,test_acc}, float64; RECIPE.VARIANT.weights.KEY.sha256.
    """
    tensors = {}
    for name, recipe in RECIPES.items():
        if recipe.resize is not None:
            continue
        for variant in VARIANTS:
            loaders = fashion_mnist.memory_loaders(data_dir, recipe.batch_size, 4096, 1000)
            torch.manual_seed(seed)
            net = recipe.build(variant)
            recipe.initialize(net)
            optimizer = recipe.optimizer(net.parameters(), recipe.lr)
            (record,) = loops.train(net, optimizer, *loaders, epochs=1, device=torch.device("cpu"))
            for figure in ("train_loss", "train_acc", "test_loss", "test_acc"):
                value = torch.tensor(getattr(record, figure), dtype=torch.float64)
                tensors[f"{name}.{variant}.{figure}"] = value
            tensors |= digests(f"{name}.{variant}.weights", net.state_dict())
    return tensors
