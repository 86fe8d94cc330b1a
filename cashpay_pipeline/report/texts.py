"""Every text of the report, in English and French, side by side."""

from typing import Literal

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = ("en", "fr")

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Collections, account {account}", "Encaissements, compte {account}"),
    "period": ("{first} to {last}", "Du {first} au {last}"),
    "label_period": ("Period", "Période"),
    "label_zone": ("Time zone", "Fuseau horaire"),
    "label_currency": ("Currency", "Devise"),
    "label_source": ("Read from", "Lu depuis"),
    "label_made_at": ("Report made", "Rapport établi le"),
    "zone": ("{zone}: a day ends at midnight there", "{zone} : un jour s’y termine à minuit"),
    "currencies_apart": ("never added together", "jamais additionnées entre elles"),
    "XOF": ("CFA franc", "franc CFA"),
    "XAF": ("Central African CFA franc", "franc CFA d’Afrique centrale"),
    "EUR": ("euro", "euro"),
    "made_up": (
        "Made-up data: read from the simulator on this machine. No figure here is real.",
        "Données fictives : lues depuis le simulateur de cette machine. Aucun chiffre n’est réel.",
    ),
    "all_well": (
        "The data is complete up to the end of {day}.",
        "Les données sont complètes jusqu’à la fin du {day}.",
    ),
    "attention": ("Before you rely on these figures", "Avant de vous fier à ces chiffres"),
    "stale": (
        "The data ends on {day}: what came after has not been read yet. Run a sync.",
        "Les données s’arrêtent au {day} : la suite n’a pas encore été lue. Lancez une synchronisation.",
    ),
    "never_complete": (
        "No sync has read the bill list completely yet: bills may be missing.",
        "Aucune synchronisation n’a encore lu toute la liste : des factures peuvent manquer.",
    ),
    "not_complete": (
        "The latest {kind} is {status}: bills may be missing or out of date.",
        "La dernière {kind} est {status} : des factures peuvent manquer ou ne pas être à jour.",
    ),
    "full_walk_old": (
        "The whole list was last read {days} days ago: changes to old bills may be missing.",
        "La liste entière a été lue il y a {days} jours : des changements d’anciennes factures peuvent manquer.",
    ),
    "open_issues": (
        "Records set aside and counted nowhere: {count}.",
        "Enregistrements mis de côté, comptés nulle part : {count}.",
    ),
    "unknown_states": (
        "Bills in a state that is not known here ({words}): {count}, with {received} received, counted nowhere.",
        "Factures dans un état inconnu ici ({words}) : {count}, avec {received} reçus, comptées nulle part.",
    ),
    "unknown_received": (
        "Bills paid at least in part of which CashPay has not told the sum: {count}. They count only as far as CashPay "
        "has told.",
        "Factures payées au moins en partie dont CashPay n’a pas donné le montant reçu : {count}. Elles ne comptent "
        "que pour ce que CashPay a dit.",
    ),
    "marts_missing": (
        "The tables of this report are not in the published copy. Run a sync.",
        "Les tables de ce rapport ne sont pas dans la copie publiée. Lancez une synchronisation.",
    ),
    "marts_old": (
        "The tables of this report were not made anew after the latest sync: the figures lack what it has read. "
        "Run a sync.",
        "Les tables de ce rapport n’ont pas été refaites après la dernière synchronisation : il manque aux chiffres ce "
        "qu’elle a lu. Lancez une synchronisation.",
    ),
    "empty": ("There are no bills yet", "Il n’y a pas encore de factures"),
    "empty_next": (
        "Run “cashpay sync”, then make this report again.",
        "Lancez « cashpay sync », puis refaites ce rapport.",
    ),
    "section_day": ("Yesterday", "Hier"),
    "section_last_day": ("The last whole day", "Le dernier jour entier"),
    "section_months": ("This month and the last", "Ce mois-ci et le précédent"),
    "section_period": ("{days} days by gateway", "{days} jours par moyen de paiement"),
    "section_conversion": ("Bills paid, by week of creation", "Factures payées, par semaine de création"),
    "section_aging": ("Unpaid bills, by age", "Factures impayées, par ancienneté"),
    "section_differences": ("Paid, but not what was billed", "Paiements différents du montant facturé"),
    "section_data": ("How fresh and complete this is", "Fraîcheur et complétude des données"),
    "received_on": ("Received on {day}", "Reçu le {day}"),
    "same_weekday": ("Same weekday before: {amount}", "Même jour, semaine précédente : {amount}"),
    "col_gateway": ("Gateway", "Moyen de paiement"),
    "col_month_until": ("{month}, to the {day}", "{month}, jusqu’au {day}"),
    "col_day": ("Day", "Jour"),
    "col_week": ("Week of", "Semaine du"),
    "col_bills": ("Bills", "Factures"),
    "col_received": ("Received", "Reçu"),
    "col_receipts": ("Receipts", "Encaissements"),
    "col_share": ("Share", "Part"),
    "col_difference": ("Difference", "Écart"),
    "col_paid": ("Paid", "Payées"),
    "col_open": ("Still open", "Encore ouvertes"),
    "col_share_paid": ("Share paid", "Part payée"),
    "col_age": ("Age in days", "Ancienneté en jours"),
    "col_billed": ("Billed", "Facturé"),
    "col_open_amount": ("Open", "Ouvert"),
    "col_owed": ("Still owed", "Encore dû"),
    "col_kind": ("What happened", "Ce qui s’est passé"),
    "col_bill": ("Bill", "Facture"),
    "col_merchant_reference": ("Your reference", "Votre référence"),
    "col_created": ("Created", "Créée"),
    "total": ("Total", "Total"),
    "withdrawn": ("Withdrawn (refunds, canceled bills)", "Retiré (remboursements, factures annulées)"),
    "net": ("Net", "Net"),
    "no_gateway": ("Gateway not told", "Non communiqué"),
    "other_gateways": ("Other gateways", "Autres moyens"),
    "uncertain_part": (
        "The day of {amount} of this is not certain: CashPay does not tell when a bill was paid.",
        "Le jour n’est pas certain pour {amount} de cette somme : CashPay ne dit pas quand une facture a été payée.",
    ),
    "uncertain_months": (
        "The day of {amount} of these two months together is not certain: CashPay does not tell when a bill was paid.",
        "Le jour n’est pas certain pour {amount} de ces deux mois ensemble : CashPay ne dit pas quand une facture a "
        "été payée.",
    ),
    "withdrawn_part": (
        "Besides, {amount} counted before was withdrawn (refunds, canceled bills).",
        "Par ailleurs, {amount} compté auparavant a été retiré (remboursements, factures annulées).",
    ),
    "receipts_note": (
        "A receipt is what came in for one bill on one day through one gateway; a bill paid in parts can have several.",
        "Un encaissement est ce qui est entré pour une facture, un jour, par un moyen de paiement ; une facture payée "
        "en plusieurs fois peut en avoir plusieurs.",
    ),
    "nothing_received": ("Nothing was received.", "Rien n’a été reçu."),
    "nothing_unpaid": ("No bill is unpaid.", "Aucune facture n’est impayée."),
    "no_differences": ("No differences.", "Aucun écart."),
    "differences_unknown": (
        "Bills of which CashPay has not told the sum: {count}. Their differences are not in here.",
        "Factures dont CashPay n’a pas donné le montant reçu : {count}. Leurs écarts ne sont pas compris.",
    ),
    "no_bills_in_period": ("No bills in this period.", "Aucune facture sur cette période."),
    "daily_figures": ("Figures day by day", "Chiffres jour par jour"),
    "unfinished_week": ("* This week is not over.", "* Cette semaine n’est pas terminée."),
    "conversion_note": (
        "Share of the bills created in a week that are paid by now; open ones can still be paid.",
        "Part des factures créées dans la semaine qui sont payées à ce jour ; les ouvertes peuvent encore l’être.",
    ),
    "aging_note": (
        "Bills that can still be paid (Pending, Partial). “Still owed” leaves out bills whose order another bill has "
        "paid and those that CashPay no longer shows, and counts an order with several open bills once.",
        "Factures encore payables (Pending, Partial). « Encore dû » exclut les factures dont la commande a été réglée "
        "par une autre facture et celles que CashPay ne montre plus, et compte une fois une commande qui a plusieurs "
        "factures ouvertes.",
    ),
    "age_0-1": ("under 1", "moins de 1"),
    "age_1-7": ("1 to 7", "1 à 7"),
    "age_8-30": ("8 to 30", "8 à 30"),
    "age_31-90": ("31 to 90", "31 à 90"),
    "age_90+": ("over 90", "plus de 90"),
    "alt_collections": (
        "Bars: {currency} received each day, {first} to {last}, by gateway. Total {total}. The table below has "
        "the figures.",
        "Barres : {currency} reçus chaque jour, du {first} au {last}, par moyen de paiement. Total {total}. "
        "Les chiffres sont dans le tableau qui suit.",
    ),
    "alt_conversion": (
        "Bars: share of bills paid, by week of creation; latest finished week {share}. The table below has the "
        "figures.",
        "Barres : part des factures payées, par semaine de création ; dernière semaine finie : {share}. "
        "Les chiffres sont dans le tableau qui suit.",
    ),
    "alt_aging": (
        "Bars: {currency} still owed, by age of the bill. Total {total}. The table below has the figures.",
        "Barres : {currency} encore dus, par ancienneté de la facture. Total {total}. "
        "Les chiffres sont dans le tableau qui suit.",
    ),
    "kind_partial": ("Paid in part", "Payée en partie"),
    "kind_short": ("Closed as paid, with less", "Soldée pour un montant inférieur"),
    "kind_excess": ("Paid too much", "Trop-perçu"),
    "kind_kept": ("Canceled, expired or failed, money kept", "Annulée, expirée ou échouée, somme conservée"),
    "kind_paid_twice_bill": ("Bill paid twice", "Facture payée deux fois"),
    "kind_paid_twice_order": ("Order paid twice", "Commande payée deux fois"),
    "newest_differences": ("The newest, at most {count}", "Les plus récents, {count} au plus"),
    "data_last_complete": ("Last complete sync", "Dernière synchronisation complète"),
    "data_last_full": ("Last full refresh", "Dernière lecture de toute la liste"),
    "data_latest": ("Latest sync", "Dernière synchronisation"),
    "data_bills": ("Bills known", "Factures connues"),
    "data_missing": ("Bills that CashPay no longer shows", "Factures que CashPay ne montre plus"),
    "data_issues": ("Records set aside", "Enregistrements mis de côté"),
    "data_warnings": ("Notes of the latest sync", "Remarques de la dernière synchronisation (en anglais)"),
    "latest_sync": ("{kind}, {status}, ended {moment}", "{kind}, {status}, terminée le {moment}"),
    "issue_line": ("{field}: {reason} ({count})", "{field} : {reason} ({count})"),
    "reason_missing": ("missing", "absent"),
    "reason_not_a_number": ("not a number", "pas un nombre"),
    "reason_too_large": ("too large", "trop grand"),
    "reason_fraction_of_smallest_unit": ("not whole in the smallest unit", "pas entier dans la plus petite unité"),
    "reason_unknown_currency": ("unknown currency", "devise inconnue"),
    "reason_changed": ("changed", "a changé"),
    "reason_unreadable_time": ("unreadable time", "date illisible"),
    "reason_ambiguous_time": ("readable in two ways", "lisible de deux façons"),
    "reason_duplicate_key": ("a field twice", "un champ en double"),
    "reason_ambiguous_key": ("fields that differ in capitals only", "champs qui ne diffèrent que par les majuscules"),
    "reason_not_text": ("not a text", "pas un texte"),
    "reason_not_a_list": ("not a list", "pas une liste"),
    "reason_not_an_object": ("not an object", "pas un objet"),
    "reason_details_refused": ("details refused", "détails refusés"),
    "reason_details_unreadable": ("details unreadable", "détails illisibles"),
    "never": ("never", "jamais"),
    "kind_refresh": ("refresh", "actualisation"),
    "kind_full_refresh": ("full refresh", "lecture complète"),
    "kind_recheck": ("re-check", "relecture des factures ouvertes"),
    "status_complete": ("complete", "complète"),
    "status_incomplete": ("incomplete", "incomplète"),
    "status_failed": ("failed", "en échec"),
    "status_dead": ("broken off", "interrompue"),
    "footer": (
        "Received is what came in (Paid, Excess and Partial bills), not what was billed. Made by cashpay_pipeline "
        "from the published copy; the tables marts.* have every figure.",
        "Reçu : l’argent entré (factures Paid, Excess et Partial), et non le facturé. Établi par cashpay_pipeline "
        "depuis la copie publiée ; les tables marts.* ont tous les chiffres.",
    ),
}

MONTHS: dict[Language, list[str]] = {
    "en": ["January", "February", "March", "April", "May", "June",
           "July", "August", "September", "October", "November", "December"],
    "fr": ["janvier", "février", "mars", "avril", "mai", "juin",
           "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
}  # fmt: skip
SHORT_MONTHS: dict[Language, list[str]] = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "fr": ["janv.", "févr.", "mars", "avril", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."],
}
WEEKDAYS: dict[Language, list[str]] = {
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "fr": ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
}


class Texts:
    """The texts in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._position = LANGUAGES.index(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text, with its values filled in."""
        return self._typeset(TEXTS[key][self._position]).format(**values)

    def word(self, prefix: str, value: str) -> str:
        """The text for a word of the data, or the word itself if it is a new one."""
        pair = TEXTS.get(f"{prefix}{value}")
        return self._typeset(pair[self._position]) if pair else value

    def _typeset(self, text: str) -> str:
        """French puts spaces beside some marks, and a line must not end there."""
        if self.language == "fr":
            for loose in (" :", " ;", "« ", " »"):
                text = text.replace(loose, loose.replace(" ", "\u00a0"))
        return text
