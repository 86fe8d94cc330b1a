"""The report to look at: one HTML file that works offline, made from the published copy.

queries.py  what is asked of the published copy: the only SQL
figures.py  what the report says, worked out from those rows. No I/O, no clock
trust.py    what a reader must know before relying on them
texts.py    every text of the page, in English and French
formats.py  numbers, money, days and moments, as each language writes them
colours.py  one colour a gateway, kept from report to report, told apart by colour-blind readers
charts.py   the pictures: the only module that imports Altair
png.py      makes a PNG smaller
page.py     the file
"""

PERIOD_DAYS = 90
"""How many days the page and the pictures look back."""
