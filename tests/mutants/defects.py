"""One-line defects that the tests must catch: the 30 of failure-cases.md, section 2.7, and those that once survived.

Each is made in a copy of the repository, one at a time, by `mutate.py` (`make mutants`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """A defect and who should notice.

    Attributes:
        name: for the table, and for `make mutants ONLY=name`.
        file: the file, from the repository's root.
        old: text that occurs in it exactly once.
        new: what takes its place.
        tests: what pytest is given: the smallest choice that should fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


PACKAGE = "cashpay_pipeline/"
WALKS = "tests/test_walks.py -k "

DEFECTS = [
    # The place of a walk is stored before the rows that were read up to there, not in one transaction with them.
    Defect(
        "cursor_before_data",
        PACKAGE + "sync/batch.py",
        "        readings, aside, new_bad, set_aside = self._readings",
        "        progress and progress()\n        readings, aside, new_bad, set_aside = self._readings",
        WALKS + "place",
    ),
    # We keep nothing in Dagster, whatever moves with it. The like of it here: the watermark is not in the file.
    Defect(
        "cursor_in_dagster_only",
        PACKAGE + "sync/whole_list.py",
        "        where account.account = ?\n",
        "        where account.account = ? and false\n",
        WALKS + "watermark",
    ),
    # A bill that was read in the very moment in which the walk began was met by this walk.
    Defect(
        "greater_instead_of_at_least",
        PACKAGE + "sync/met.py",
        "where account = $1 and verified_at >= $2) + (",
        "where account = $1 and verified_at > $2) + (",
        WALKS + "P13",
    ),
    Defect(
        "no_overlap",
        PACKAGE + "sync/newest_end.py",
        "horizon = watermark - timedelta(hours=session.settings.overlap_hours) if",
        "horizon = watermark if",
        WALKS + "P14_a_bill",
    ),
    Defect(
        "watermark_is_now",
        PACKAGE + "sync/whole_list.py",
        "select max(created_at) from core.bills",
        "select max(verified_at) from core.bills",
        WALKS + "watermark",
    ),
    Defect(
        "watermark_of_an_unfinished_walk",
        PACKAGE + "sync/run.py",
        "or is_stopped:\n        session.save()",
        "or is_stopped:\n        from cashpay_pipeline.sync.whole_list import save_progress\n"
        "        session.save(lambda: save_progress(session, session.begun, whole=False))",
        WALKS + "watermark",
    ),
    Defect(
        "stop_on_a_short_page",
        PACKAGE + "pagination.py",
        "elif not page.records:\n",
        "elif len(page.records) < self.size:\n",
        WALKS + "P6",
    ),
    # An end that tells no total is believed, although a deletion may have moved the last bill off its page.
    Defect(
        "end_without_total_believed",
        PACKAGE + "pagination.py",
        "if not page.records and page.total is None and last_total and",
        "if False and",
        WALKS + "P4_a_deletion_just_before",
    ),
    # A page that repeats is judged by the total of the page before it.
    Defect(
        "repeated_page_with_the_former_total",
        PACKAGE + "pagination.py",
        "                    self._note_total(page)\n                    if self._is_end",
        "                    if self._is_end",
        "tests/test_pagination.py -k every_bill_that_stayed",
    ),
    Defect(
        "stop_on_the_first_500",
        PACKAGE + "verdicts.py",
        "PASSING = (500, 502,",
        "PASSING = (502,",
        "tests/test_http_statuses.py -k H16",
    ),
    Defect(
        "skip_a_page_after_retries",
        PACKAGE + "pagination.py",
        "            page = bills.ask_for_less(offset, error)\n",
        "            page = bills.ask_for_less(offset, error)\n"
        "            page = self.next() if isinstance(error, UnavailableError) else page\n",
        WALKS + "H16",
    ),
    Defect(
        "same_salt_on_retry",
        PACKAGE + "attempts.py",
        "            headers = self._auth.headers()\n",
        '            headers = call.__dict__.setdefault("_headers", self._auth.headers())\n',
        "tests/test_auth.py -k A8",
    ),
    Defect(
        "salt_is_seconds",
        PACKAGE + "auth.py",
        "salt = str(secrets.randbelow(2**self._settings.salt_bits - 1) + 1)",
        'salt = str(int(__import__("time").time()))',
        "tests/test_auth.py -k A8",
    ),
    Defect(
        "headers_once_a_run",
        PACKAGE + "attempts.py",
        "            headers = self._auth.headers()\n",
        '            headers = self.__dict__.setdefault("_headers", self._auth.headers())\n',
        "tests/test_auth.py -k A1",
    ),
    Defect(
        "no_single_flight",
        PACKAGE + "auth.py",
        "        with self._lock:\n            if self._token is None",
        "        if True:\n            if self._token is None",
        "tests/test_auth.py -k A3",
    ),
    # The like of it here: what is sent by a session of `requests` follows redirects.
    Defect(
        "follow_redirects",
        PACKAGE + "client.py",
        "self._adapter.send(request,",
        "requests.Session().send(request,",
        "tests/test_client.py tests/test_http_statuses.py -k N6",
    ),
    Defect(
        "environment_trusted",
        PACKAGE + "client.py",
        "proxies=self._proxies) as",
        "proxies=self._proxies or requests.utils.getproxies()) as",
        "tests/test_client.py -k N8",
    ),
    Defect(
        "204_on_page_1_empties_the_table",
        PACKAGE + "sync/whole_list.py",
        "    if known and not count_met(session, started):",
        "    if False:",
        WALKS + "H4",
    ),
    # No table is ever replaced by a frame. Where an empty one would do harm: gateways would all be marked as gone.
    Defect(
        "empty_frame_replaces",
        PACKAGE + "sync/gateways.py",
        "elif gateways.empty and known:",
        "elif False:",
        "tests/test_payloads.py -k H4",
    ),
    Defect(
        "insert_by_position",
        PACKAGE + "warehouse/store.py",
        "insert into core.payments by name\n            select payment_row",
        "insert into core.payments\n            select payment_row",
        "tests/test_first_sync.py -k every_other_form",
    ),
    Defect(
        "delete_and_insert_in_two_transactions",
        PACKAGE + "warehouse/store.py",
        "    if not payments.empty:\n",
        "    warehouse.connection.commit()\n    warehouse.connection.begin()\n    if not payments.empty:\n",
        "tests/test_crashes.py -k R2",
    ),
    Defect(
        "key_on_code",
        PACKAGE + "shapes.py",
        'KEY_FIELDS = ("order_reference", "orderNum")',
        'KEY_FIELDS = ("code", "orderNum")',
        "tests/test_payloads.py -k Y3",
    ),
    Defect(
        "key_without_account",
        PACKAGE + "warehouse/store.py",
        "where bill.account = $account -- DuckDB",
        "where $account is not null -- DuckDB",
        "tests/test_accounts.py -k A14",
    ),
    Defect(
        "state_alias_case_sensitive",
        PACKAGE + "values.py",
        "STATES.get(plain.strip().casefold(),",
        "STATES.get(plain.strip()[:1].lower() + plain.strip()[1:],",
        "tests/test_normalize.py -k state",
    ),
    Defect(
        "paid_overwrites_history",
        PACKAGE + "warehouse/store.py",
        "insert into core.bill_versions by name",
        "delete from core.bill_versions where order_reference in "
        "(select order_reference from current_rows where state = 'Paid'); insert into core.bill_versions by name",
        WALKS + "P12",
    ),
    Defect(
        "revenue_from_amount",
        "sql/marts/daily_collections.sql",
        "received_amount as moved_amount",
        "amount as moved_amount",
        "tests/test_marts.py -k daily_collections",
    ),
    Defect(
        "money_through_float",
        PACKAGE + "values.py",
        "storable(int(smallest), field)",
        "storable(int(float(smallest)), field)",
        "tests/test_money.py -k M1",
    ),
    Defect(
        "naive_time_as_local",
        PACKAGE + "normalize.py",
        "zone = ZoneInfo(source_timezone)",
        "zone = datetime.now().astimezone().tzinfo",
        "tests/test_times.py -k T5",
    ),
    # The day is stored once, by Python, and every session of ours has UTC: it is the machine's that could creep in.
    Defect(
        "day_by_session_zone",
        PACKAGE + "values.py",
        "local = moment.astimezone(_LOME)",
        "local = moment.astimezone()",
        "tests/test_times.py -k T5",
    ),
    Defect(
        "formula_guard_off",
        PACKAGE + "export/text.py",
        'return f"\'{text}" if text',
        "return text if text",
        "tests/test_export.py -k harmless",
    ),
    Defect(
        "callback_signature_not_checked",
        PACKAGE + "auth.py",
        'algorithms=["HS256"])',
        'algorithms=["HS256"], options={"verify_signature": False})',
        "tests/test_auth.py -k X7",
    ),
    Defect(
        "exception_keeps_the_request",
        PACKAGE + "client.py",
        "            broken = self._broken(error)\n",
        "            raise self._broken(error) from error\n",
        "tests/test_auth.py -k S2",
    ),
    # Found by hand, and by chaos.
    Defect(
        "exclusive_horizon",
        PACKAGE + "sync/newest_end.py",
        "moment >= horizon",
        "moment > horizon",
        WALKS + "P13",
    ),
    Defect(
        "early_stop_in_any_order",
        PACKAGE + "sync/newest_end.py",
        'if bills.order == "newest_first" and _is_known_ground',
        "if _is_known_ground",
        WALKS + "P17",
    ),
    Defect(
        "place_forgets_what_a_deletion_moved",
        PACKAGE + "sync/whole_list.py",
        "            [started, bills.place, bills.usual_size,",
        "            [started, page.offset + bills.size, bills.usual_size,",
        WALKS + "P4",
    ),
    Defect(
        "a_list_without_sums_is_news_of_money",
        PACKAGE + "changes.py",
        'tells_money=source != "list" or names_money,',
        "tells_money=True,",
        "tests/test_poor_lists.py -k grows",
    ),
    Defect(
        "nothing_in_the_list_takes_money_away",
        PACKAGE + "changes.py",
        "is None or _is_doubtful(f, known, reading)]",
        "is None]",
        "tests/test_poor_lists.py -k never_fills",
    ),
    Defect(
        "an_old_row_of_the_list_is_no_question",
        PACKAGE + "sync/judgement.py",
        "list_digest = _outdated(known.list_digest) if known else None",
        "list_digest = known.list_digest if known else None",
        "tests/test_poor_lists.py -k goes_back",
    ),
    Defect(
        "an_old_row_is_news_the_second_time",
        PACKAGE + "sync/judgement.py",
        "digests = _outdated(reading.digest), None",
        "pass",
        "tests/test_intervals.py -k contradicts",
    ),
    Defect(
        "the_wal_of_the_former_copy_stays",
        PACKAGE + "warehouse/publish.py",
        "_remove_wal(target)\n            put_in_place(new, target, READ_ONLY)\n            _remove_wal(target)\n",
        "put_in_place(new, target, READ_ONLY)\n",
        "tests/test_concurrency.py -k C1_what",
    ),
    Defect(
        "rows_that_change_places_hide_none",
        PACKAGE + "sync/whole_list.py",
        'if met < bills.total and bills.in_flight > 1 and bills.order == "none":',
        "if False:",
        WALKS + "P1_rows",
    ),
    # Of a list only the first item says where to look for a customer.
    Defect(
        "a_list_is_like_its_first_item",
        PACKAGE + "forms.py",
        "dict.fromkeys(map(form_of, value))",
        "dict.fromkeys(map(form_of, value[:1]))",
        "tests/test_privacy.py -k many_things",
    ),
    # What a sync stored that had to stop is never checked.
    Defect(
        "only_the_newest_sync_is_checked",
        "sql/core/0016_is_checked.sql",
        "group by account, place",
        "group by account, place, started_at",
        "tests/test_checks_after_failures.py",
    ),
    Defect(
        "what_is_read_fast_may_lack_a_key",
        PACKAGE + "decoding.py",
        'if keys == raw.translate(None, b" \\t\\r\\n").count(b\'":\')',
        "if True",
        "tests/test_decoding.py",
    ),
]
