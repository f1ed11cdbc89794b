"""How well a model finds what it is asked for, on frames whose answers are known: `ps3 eval MODEL DATA ...` (docs/evaluation.md).

questions.py: what is asked of a frame;  answers.py: the robot's own stages, under conditions that leave parts out;  measure.py: a split ->
rows;  summary.py: rows -> figures with intervals;  report.py, plots.py: figures -> markdown and pictures;  calibration.py: scores -> odds.
"""
