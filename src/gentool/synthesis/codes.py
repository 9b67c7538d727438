"""Names and codes that mean the same: countries, languages, currencies and units. Short, and known to be so."""

from __future__ import annotations

from functools import cache

_COUNTRIES = """
united states/usa/us/america/american/u.s./u.s.a./states
united kingdom/uk/gb/gbr/britain/british/england/english/great britain|germany/de/deu/german
france/fr/fra/french|spain/es/esp/spanish|italy/it/ita/italian|portugal/pt/prt/portuguese
netherlands/nl/nld/dutch/holland|belgium/be/bel/belgian|switzerland/ch/che/swiss|austria/at/aut/austrian
poland/pl/pol/polish|czechia/cz/cze/czech/czech republic|denmark/dk/dnk/danish|sweden/se/swe/swedish
norway/no/nor/norwegian|finland/fi/fin/finnish|ireland/ie/irl/irish|greece/gr/grc/greek
hungary/hu/hun/hungarian|romania/ro/rou/romanian|bulgaria/bg/bgr/bulgarian|ukraine/ua/ukr/ukrainian
russia/ru/rus/russian|turkey/tr/tur/turkish|japan/jp/jpn/japanese|china/cn/chn/chinese
south korea/kr/kor/korea/korean|india/in/ind/indian|indonesia/id/idn/indonesian|vietnam/vn/vnm/vietnamese
thailand/th/tha/thai|singapore/sg/sgp|malaysia/my/mys|philippines/ph/phl/filipino
australia/au/aus/australian|new zealand/nz/nzl|canada/ca/can/canadian|mexico/mx/mex/mexican
brazil/br/bra/brazilian|argentina/ar/arg/argentine/argentinian|chile/cl/chl/chilean
colombia/co/col/colombian|peru/pe/per/peruvian|south africa/za/zaf/south african|egypt/eg/egy/egyptian
nigeria/ng/nga/nigerian|kenya/ke/ken/kenyan|morocco/ma/mar/moroccan|israel/il/isr/israeli
saudi arabia/sa/sau/saudi|united arab emirates/ae/are/uae/emirates|iceland/is/isl/icelandic
"""
_LANGUAGES = """
english/en/eng|german/de/deu/deutsch|french/fr/fra|spanish/es/spa|italian/it/ita|portuguese/pt/por
dutch/nl/nld|polish/pl/pol|czech/cs/ces|danish/da/dan|swedish/sv/swe|norwegian/no/nb/nor|finnish/fi/fin
greek/el/ell|hungarian/hu/hun|romanian/ro/ron|ukrainian/uk/ukr|russian/ru/rus|turkish/tr/tur|japanese/ja/jpn
chinese/zh/zho/mandarin|korean/ko/kor|hindi/hi/hin|arabic/ar/ara|hebrew/he/heb|vietnamese/vi/vie|thai/th/tha
indonesian/id/ind|latin/la/lat|catalan/ca/cat
"""
_CURRENCIES = """
usd/dollar/dollars/us dollar/us dollars/$/bucks/buck|eur/euro/euros/€|gbp/pound/pounds/sterling/£/quid
jpy/yen/japanese yen/¥|chf/franc/francs/swiss franc/swiss francs|cad/canadian dollar/canadian dollars
aud/australian dollar/australian dollars|cny/yuan/renminbi/rmb|inr/rupee/rupees/₹|krw/won
sek/swedish krona/kronor|nok/norwegian krone|dkk/danish krone/danish kroner|pln/zloty/zlotys|brl/real/reais
mxn/peso/pesos|rub/ruble/rubles|try/lira|zar/rand|sgd/singapore dollar|nzd/new zealand dollar
btc/bitcoin/bitcoins|eth/ethereum/ether
"""
_UNITS = """
celsius/c/°c/centigrade/metric/degrees celsius|fahrenheit/f/°f/imperial/degrees fahrenheit|kelvin/k
kilometer/kilometre/kilometers/kilometres/km/kms|meter/metre/meters/metres/m
centimeter/centimetre/centimeters/centimetres/cm|mile/miles/mi|foot/feet/ft|inch/inches/in
kilogram/kilograms/kilo/kilos/kg|gram/grams/g|pound/pounds/lb/lbs|ounce/ounces/oz
liter/litre/liters/litres/l|milliliter/millilitre/milliliters/millilitres/ml
square meter/square metre/square meters/square metres/sqm/m2/m²
km/h/kmh/kph/kilometers per hour/kilometres per hour|mph/miles per hour
m/s/ms/meters per second/metres per second|percent/%|second/seconds/s/sec|minute/minutes/min/mins
hour/hours/h/hr/hrs|day/days/d/daily|week/weeks/w/weekly|month/months/monthly
year/years/y/yearly/annual/annually
"""
_WORDS = """
mon/monday|tue/tues/tuesday|wed/wednesday|thu/thur/thurs/thursday|fri/friday|sat/saturday|sun/sunday
jan/january|feb/february|mar/march|apr/april|jun/june|jul/july|aug/august|sep/sept/september|oct/october
nov/november|dec/december|new york city/new york/nyc/ny|los angeles/la|san francisco/sf
washington/washington dc/dc|united nations/un|european union/eu|javascript/js|typescript/ts|python/py
kubernetes/k8s|postgresql/postgres|artificial intelligence/ai|machine learning/ml|television/tv
photo/photos/photograph/photographs/picture/pictures/image/images|car/driving/drive|walk/walking/on foot
>/greater than/more than/over/above/older than|</less than/below/under/younger than|>=/at least/or more
<=/at most/or less|=/==/equals/equal to|!=/not equal to/other than|bicycle/bike/cycling/cycle
train/rail/transit/public transport
"""


def _groups() -> list[tuple[str, ...]]:
    table = "|".join(
        part.strip().replace("\n", "|") for part in (_COUNTRIES, _LANGUAGES, _CURRENCIES, _UNITS, _WORDS)
    )
    groups = []
    for line in table.split("|"):
        # km/h and m/s have a slash of their own.
        forms = line.replace("km/h", "km\0h").replace("m/s/", "m\0s/").split("/")
        groups.append(tuple(form.replace("\0", "/").strip() for form in forms))
    return groups


@cache
def _table() -> dict[str, list[tuple[str, ...]]]:
    table: dict[str, list[tuple[str, ...]]] = {}
    for group in _groups():
        for form in group:
            table.setdefault(form, []).append(group)
    return table


def other_forms(term: str) -> frozenset[str]:
    """Names and codes, folded, that can stand for ``term`` (folded too), itself left out; empty if none is known."""
    return frozenset(form for group in _table().get(term, ()) for form in group) - {term}
