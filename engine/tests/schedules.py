"""Writes schedules.tsv: when schedules fire next, found by trying every time of every day with zoneinfo.

It shares nothing with the program. A time that the clock skips in spring comes at the first moment after the gap when
second, minute and hour are single numbers, and not at all otherwise; one that comes twice in autumn fires once when they
are single numbers, and twice otherwise.
"""

import calendar
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

NAMES = {name: n for n, name in enumerate("SUN MON TUE WED THU FRI SAT".split())}
MONTHS = {name: n + 1 for n, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split())}
ALIASES = {"@yearly": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@hourly": "0 * * * *"}
UTC = timezone.utc


def numbers(field, least, most, names={}):
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        read = lambda text: names.get(text) if text in names else int(text)
        low, high = (least, most) if span == "*" else (read(first), read(last) if dash else (most if step else read(first)))
        found |= set(range(low, high + 1, int(step or 1)))
    return found


def on_weekday(day, field):
    for part in field.split(","):
        if "#" in part or part.endswith("L"):
            name, _, which = part.replace("L", "#L").replace("##", "#").partition("#")
            if day.isoweekday() % 7 != (NAMES.get(name) if name in NAMES else int(name)) % 7:
                continue
            last = (day + timedelta(days=7)).month != day.month
            if last if which == "L" else (day.day + 6) // 7 == int(which):
                return True
        elif day.isoweekday() % 7 in {n % 7 for n in numbers(part, 0, 6, NAMES)}:
            return True
    return False


def on_day(day, field):
    length = calendar.monthrange(day.year, day.month)[1]
    for part in field.split(","):
        if part == "L":
            if day.day == length:
                return True
        elif part.endswith("W"):
            wanted = day.replace(day=min(int(part[:-1]), length))
            if wanted.isoweekday() == 6:
                wanted += timedelta(days=-1 if wanted.day > 1 else 2)
            elif wanted.isoweekday() == 7:
                wanted += timedelta(days=1 if wanted.day < length else -2)
            if day == wanted:
                return True
        elif day.day in numbers(part, 1, 31):
            return True
    return False


def fits(day, days, months, weekdays):
    if day.month not in numbers(months, 1, 12, MONTHS):
        return False
    if days == "*" or weekdays == "*":
        return (days == "*" or on_day(day, days)) and (weekdays == "*" or on_weekday(day, weekdays))
    return on_day(day, days) or on_weekday(day, weekdays)


def instants(wall, zone):
    """The moments at which the clock shows this time."""
    both = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return sorted({at for at in both if at.astimezone(zone).replace(tzinfo=None, fold=0) == wall})


def end_of_gap(wall, zone):
    at = wall.replace(tzinfo=UTC) - timedelta(hours=26)
    while at.astimezone(zone).replace(tzinfo=None) < wall:
        at += timedelta(minutes=30)
    while (at - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None) > wall:
        at -= timedelta(minutes=1)
    return at


def of_day(day, fields, zone):
    seconds, minutes, hours, days, months, weekdays = fields
    if not fits(day, days, months, weekdays):
        return
    is_fixed = all(field.isdigit() for field in (seconds, minutes, hours))
    for hour in numbers(hours, 0, 23):
        for minute in numbers(minutes, 0, 59):
            for second in numbers(seconds, 0, 59):
                wall = datetime(day.year, day.month, day.day, hour, minute, second)
                found = instants(wall, zone)
                if found:
                    yield from found[:1] if is_fixed else found
                elif is_fixed:
                    end = end_of_gap(wall, zone)
                    # A day that a zone leaves out has no firings at all.
                    if end.astimezone(zone).date() == day:
                        yield end


def next_after(expression, zone, start):
    fields = ALIASES.get(expression, expression).split()
    fields = ["0"] * (6 - len(fields)) + fields
    day = start.astimezone(zone).date() - timedelta(days=1)
    best = None
    for _ in range(366 * 12):
        later = [at for at in of_day(day, fields, zone) if at > start]
        if best is not None:
            return min([best, *later])
        best = min(later, default=None)
        day += timedelta(days=1)
    raise ValueError(expression)


ZONES = {
    "Europe/Berlin": ["2026-03-28 12:00", "2026-03-29 00:30", "2026-10-24 20:00", "2026-10-25 00:10"],
    "America/New_York": ["2026-03-08 04:00", "2026-03-08 06:40", "2026-11-01 04:00", "2026-11-01 05:40"],
    "Australia/Lord_Howe": ["2026-10-03 10:00", "2026-10-03 15:10", "2026-04-04 10:00", "2026-04-04 14:50"],
    "Australia/Sydney": ["2026-10-03 10:00", "2026-10-03 15:50", "2026-04-04 10:00", "2026-04-04 15:20"],
    "Africa/Casablanca": ["2025-02-22 20:00", "2025-02-23 01:40", "2025-04-05 20:00", "2025-04-06 01:30"],
    "Asia/Kolkata": ["2026-01-31 18:29", "2024-02-28 18:31"],
    "Asia/Kathmandu": ["2026-01-31 18:14", "2026-12-31 18:15"],
    "Pacific/Chatham": ["2026-09-26 10:00", "2026-09-26 13:50", "2026-04-04 10:00", "2026-04-04 13:40"],
    "America/Sao_Paulo": ["2018-11-03 20:00", "2018-11-04 02:30", "2018-02-17 20:00", "2018-02-18 01:30"],
    "Pacific/Apia": ["2011-12-29 12:00", "2011-12-30 09:30", "2026-01-15 00:00"],
    "America/St_Johns": ["2026-03-08 03:00", "2026-11-01 02:00"],
    "UTC": ["2024-02-28 23:59", "2026-12-31 23:59"],
}
EVERYWHERE = ["30 2 * * *", "0 0 * * *", "*/15 * * * *", "15,45 1-3 * * *", "0 */2 * * *", "30 1 * * SUN"]
CALENDAR = [
    "0 9 * * MON-FRI", "0 0 L * *", "0 12 L FEB *", "0 9 15W * *", "0 9 1W * *", "30 8 * * MON#1", "0 18 * * FRI#L",
    "0 18 * * 5L", "0 7 * * TUE#3", "0 0 29 2 *", "0 0 13 * FRI", "5,20,50 * * * *", "10-20/5 6-18/4 * * *",
    "0 0 1 JAN,JUL *", "@daily", "@hourly", "@weekly", "@monthly", "@yearly", "30 15 10 * * *", "*/20 59 23 * * *",
    "0 0 31 * *", "0 12 1-7 * MON", "59 23 L 12 *", "0 0 * * 7", "0 6 * 2-4/2 *",
]


def main():
    print("# expression\tzone\tfrom\tnext; written by schedules.py")
    for name, starts in ZONES.items():
        zone = ZoneInfo(name)
        plain = name in ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin")
        for expression in EVERYWHERE + (CALENDAR if plain else CALENDAR[:6]):
            for start in starts if expression in EVERYWHERE else starts[:2]:
                at = datetime.fromisoformat(start).replace(tzinfo=UTC)
                found = next_after(expression, zone, at)
                form = "%Y-%m-%dT%H:%M:%SZ"
                print(expression, name, at.strftime(form), found.strftime(form), sep="\t")


main()
