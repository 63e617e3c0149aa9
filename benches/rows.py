"""What measure.py wrote, a row for each run, and the sizes that the benchmarks noted."""


class Rows:
    def __init__(self, path):
        self.all = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                row, side, turn, *figures = line.rstrip("\n").split("\t")
                seconds, tree, own, written, largest, *processor = map(float, figures)
                self.all.append({"row": row, "side": side, "round": int(turn), "seconds": seconds, "tree_kib": int(tree),
                                 "own_kib": int(own), "largest_kib": int(largest), "written": int(written),
                                 **dict(zip(("own_cpu", "children_cpu", "server_cpu", "store_cpu"), processor, strict=True))})

    def of(self, row, side, figure):
        return {each["round"]: each[figure] for each in self.all if each["row"] == row and each["side"] == side}


def sizes_of(path):
    with open(path, encoding="utf-8") as file:
        return {name: int(size) for name, size in (line.split("\t") for line in file)}
