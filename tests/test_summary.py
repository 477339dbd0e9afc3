"""`python -m src.summary`: the layer arithmetic in the terminal."""

from tests.support.workplace import Workplace


def test_the_table_has_every_layer_with_its_formulas_and_nothing_is_written(workplace: Workplace):
    done = workplace.run("src.summary", "model=lenet5")
    assert done.returncode == 0, done.stderr
    assert "floor((32 - 5) / 1) + 1 = 28" in done.stdout
    assert "(5x5x6 + 1) x 16" in done.stdout
    assert done.stdout.splitlines()[0] == "lenet5 on 28x28x1 images, 10 classes: 61,706 parameters"
    assert not [path for path in workplace.folder.iterdir() if not path.name.startswith(".")]


def test_images_that_are_too_small_are_refused_in_a_sentence(workplace: Workplace):
    done = workplace.run("src.summary", "dataset.image_size=[8,8]", "model=cnn_mnist_v1")
    assert done.returncode == 2
    assert "would pool the 1x1 map inside block 1 of cnn_mnist_v1 to nothing" in done.stderr
    assert "Traceback" not in done.stderr
