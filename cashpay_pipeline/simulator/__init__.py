"""A CashPay of your own: the whole API over real HTTP on this computer, with bills that live.

Nothing here talks to CashPay. The simulator is for people who want to try a checkout, for the demo
(`make sync` without credentials) and for the tests. Everything in it is made up.

Import the part you need: `process.SimulatorProcess` to start one from Python,
`clock.SimulatedClock` to let time pass without waiting, `credentials.DEMO_CREDENTIALS` to log in.
"""
