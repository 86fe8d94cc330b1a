"""What the name of a field tells: whether a customer is in it, in English and in French, however it is written."""

import re
from functools import lru_cache

_PERSONS = (
    *("client", "customer", "payer", "sender", "receiver", "recipient", "contact", "buyer", "purchaser", "person"),
    *("beneficiary", "holder", "accountholder", "cardholder", "subscriber", "user", "owner"),
    *("acheteur", "payeur", "beneficiaire", "bénéficiaire", "titulaire", "abonne", "abonné", "utilisateur"),
    *("destinataire", "expediteur", "expéditeur", "proprietaire", "propriétaire"),
)
PERSONAL_OBJECTS = frozenset({*_PERSONS, *(f"{person}s" for person in _PERSONS), "beneficiaries"})
PHONE_FIELDS = frozenset({"phone", "telephone", "tel", "mobile", "mobilenumber", "msisdn", "whatsapp"})
NAME_FIELDS = frozenset(
    {
        *("lastname", "firstname", "fullname", "surname", "clientname", "customername", "payername"),
        *("givenname", "familyname", "nom", "prenom", "prénom", "noms", "prenoms", "prénoms", "nomcomplet"),
        *("nomprenom", "nomprenoms", "nometprenom", "nometprenoms", "nomclient", "prenomclient"),
    }
)
PERSONAL_FIELDS = (
    PHONE_FIELDS
    | NAME_FIELDS
    | {
        *("email", "emailaddress", "mail", "adressemail", "adresseemail", "courriel"),
        *("address", "addressline", "adresse", "city", "ville"),
    }
)
"""As `field_of` has them: in small letters, without what joins words and without a number."""
FREE_TEXT_FIELDS = frozenset(
    {*("description", "message", "comment", "comments", "commentaire", "note", "notes", "label"), *("reason", "motif")}
)
"""So does each that ends like one of these, as `error_message` does."""
ADDRESS = "url"
"""What stands for all that ends like it: `?phone=...` of an address back to the shop tells as much as a field."""
KEPT_FIELDS = frozenset({"order_reference", "orderNum", "amount", "received_amount"})
"""Keys and money stay, whatever phone they may look like."""
SHOPS_REFERENCE = "merchant_reference"

_JOINT = re.compile(r"[\s_.\-\[\]]")
_OWNER = re.compile(rf"^(?:{'|'.join(_PERSONS)})|(?:{'|'.join(_PERSONS)})$")
_PHONE_NAME = re.compile(r".*(?:phone|msisdn).*|(?:num|num[eé]ro|n[o°])?(?:tel|mobile|whatsapp|gsm)(?:number|num|no)?")


@lru_cache(maxsize=1_000)
def field_of(name: str) -> str:
    """The field that a name stands for: `client_phone`, `phoneNumber`, `TELEPHONE_CLIENT` and `tel_2` are all a phone.

    Whose it is does not matter, nor its number: `payer_email` is an email, and so are `email_client` and `email1`.
    """
    field = _JOINT.sub("", name.casefold()).rstrip("0123456789")
    owned = _OWNER.sub("", field)
    if _PHONE_NAME.fullmatch(owned):
        return "phone"
    if owned.endswith("email"):
        return "email"
    if field.endswith(tuple(FREE_TEXT_FIELDS)):
        return "note"
    if field.endswith(ADDRESS):
        return ADDRESS
    if owned == "name" != field:
        return "fullname"
    return owned if owned in PERSONAL_FIELDS or owned in FREE_TEXT_FIELDS else field
