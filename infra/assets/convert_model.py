"""The embedded GGUF model as a model folder that vLLM loads: convert_model.py GGUF FOLDER (llm runtime)."""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert(gguf: Path, folder: Path) -> None:
    """Write the weights, dequantized to bfloat16, and the tokenizer with its chat template."""
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    dequantized = GgufConfig(gguf_file=gguf.name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(**where, quantization_config=dequantized, dtype=torch.bfloat16)
    vars(model.config).pop("quantization_config", None)  # the weights are plain now
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    if not tokenizer.chat_template:
        raise SystemExit(f"{gguf}: no chat template")
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
