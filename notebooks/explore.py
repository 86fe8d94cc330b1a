"""A notebook to look around in your bills: `.venv/bin/marimo edit notebooks/explore.py`.

To have marimo: `.venv/bin/pip install marimo`, or the extra `notebook` of this package.
It reads the published copy and can change nothing there.
"""

import marimo

app = marimo.App(width="medium", app_title="CashPay bills")


@app.cell
def _():
    import altair as alt
    import duckdb
    import marimo as mo

    from cashpay_pipeline.settings import load_settings

    settings = load_settings()
    mo.stop(not settings.published_path.exists(), mo.md("Nothing has been published yet: run `cashpay sync` first."))
    published = duckdb.connect(str(settings.published_path), read_only=True)
    published.execute("set TimeZone = 'Africa/Lome'")
    source = "made-up data" if not settings.has_credentials else settings.environment
    mo.md(f"# CashPay bills\n\nAccount {settings.account}, {source}. Amounts in the currency's smallest unit.")
    return alt, mo, published, settings


@app.cell
def _(mo):
    days = mo.ui.slider(7, 365, value=90, label="Days", show_value=True)
    mo.vstack([mo.md("## What came in, by gateway"), days])
    return (days,)


@app.cell
def _(alt, days, mo, published, settings):
    collections = published.execute(
        """
        select received_date, coalesce(gateway_name, 'gateway not told') as gateway, currency, received_amount
        from marts.daily_collections
        where account = $1 and received_date > current_date - cast($2 as integer)
        order by received_date, gateway
        """,
        [settings.account, days.value],
    ).df()
    chart = (
        alt.Chart(collections)
        .mark_bar()
        .encode(
            x=alt.X("utcyearmonthdate(received_date):T", title=None),
            y=alt.Y("sum(received_amount):Q", title="received"),
            color=alt.Color("gateway:N", title=None),
            row=alt.Row("currency:N", title=None),
        )
        .properties(width=640, height=240)
        .resolve_scale(y="independent")
    )
    mo.vstack([chart, mo.ui.table(collections, selection=None)])
    return


@app.cell
def _(mo, published, settings):
    unpaid = published.execute(
        """
        select order_reference, merchant_reference, state, currency, open_amount, business_date, age_days, gateway_name
        from marts.unpaid_bills
        where account = $1 and is_still_owed
        order by age_days desc, order_reference
        """,
        [settings.account],
    ).df()
    mo.vstack([mo.md("## What is unpaid, oldest first"), mo.ui.table(unpaid, selection=None)])
    return


@app.cell
def _(mo, published, settings):
    most_changed = published.execute(
        """
        select order_reference from core.bill_versions where account = $1
        group by order_reference order by count(*) desc, max(observed_at) desc, order_reference limit 1
        """,
        [settings.account],
    ).fetchone()
    reference = mo.ui.text(value=most_changed[0] if most_changed else "", label="Bill (order_reference)")
    mo.vstack([mo.md("## The history of a bill"), reference])
    return (reference,)


@app.cell
def _(mo, published, reference, settings):
    history = published.execute(
        """
        select version, changed_after, observed_at, state, amount, received_amount, source
        from core.bill_versions where account = $1 and order_reference = $2
        order by version
        """,
        [settings.account, reference.value],
    ).df()
    mo.ui.table(history, selection=None)
    return


if __name__ == "__main__":
    app.run()
