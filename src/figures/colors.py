"""Colors that colorblind people can distinguish: Okabe and Ito 2008, "Color Universal Design"."""

BLUE, GREEN, RED, ORANGE = "#0072B2", "#009E73", "#D55E00", "#E69F00"
GRAY = "#999999"
