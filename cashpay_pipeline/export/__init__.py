"""Tables of the published copy as files for other programs.

tables.py  which tables there are, and how they are cut into months
text.py    CSV for French Excel, in which no cell can run
excel.py   the same as .xlsx
run.py     one table into one folder, whole or not at all
"""

from cashpay_pipeline.export.run import Exported, export_table

__all__ = ["Exported", "export_table"]
