"""Which names are those of secrets: `DB_PASSWORD`, `openaiApiKey`, `x-api-key`; not `token_count`, `max_tokens` or `secretary`."""

import re
from typing import FrozenSet, Iterable, List, Sequence, Tuple


def _words(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


#: One of these as a word of a name makes it a secret's.
_WORDS = _words(
    "password passwords passwd passwds pwd passphrase passcode secret secrets token authorization credential credentials cookie cookies "
    "apikey apikeys apitoken accesskey privatekey secretkey authtoken accesstoken refreshtoken clientsecret creds pswd passkey passwort "
    "kennwort senha contrasena userpwd dbpwd adminpwd sshpass keypass storepass dbpass userpass csrftoken xsrftoken sessiontoken sastoken "
    "bottoken bearertoken idtoken apisecret appsecret phpsessid jsessionid"
)
#: These only as its last word, numbers aside: `login_otp`, `jwt`; not `otp_release` or `jwt_algorithm`.
_LAST = _words("otp totp cvv cvc jwt csrf xsrf")
_PLACES = _words(
    "db user smtp imap mail email mysql pg postgres redis ftp ssh admin root ldap proxy http sudo become login vault keystore truststore"
)
#: Words that do so before another; that one also in the plural. Left out is what mostly names something else: a `pin` of a board, the
#: `sas` of a statistician, a `session_key` or `user_key` of a table, an `s3_key`, a `tls_key` that is a path.
_BEFORE = {
    "key": _words(
        "api access private priv secret encryption decryption signing master ssh account auth shared hmac deploy rsa dsa ecdsa pgp gpg aes "
        "symmetric unseal wallet sas subscription app application admin webhook license licence openai anthropic azure aws gemini mistral "
        "cohere groq hf huggingface stripe sendgrid twilio deepgram pinecone"
    ),
    "pass": _PLACES,
    "pw": _PLACES,
    "auth": _words("basic http proxy npm registry docker redis rediscli"),
    "tokens": _words("api access auth refresh session oauth bearer"),
    "phrase": _words("pass seed recovery mnemonic"),
    "word": _words("pass"),
    "signature": _words("amz goog"),
    "code": _words("recovery verification mfa fa otp totp auth"),
    "seed": _words("otp totp wallet"),
    "pin": _words("user card login account security sim atm"),
    "pat": _words("github gitlab gh gl azure ado devops"),
    "verifier": _words("code oauth"),
    "passe": _words("de"),
}
_NONE: FrozenSet[str] = frozenset()
#: Written together, without a sign of where a word ends: `dbpassword`, `myapikey`.
_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "privatekey",
    "privkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "sharedkey",
    "secretkey",
    "clientsecret",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "credentials",
)
#: Behind the secret word they say that a property is meant, not the secret.
_PROPERTIES = _words(
    "count counts length len size limit limits type types name names pattern patterns url uri endpoint file files filename path dir "
    "directory folder field fields index indices max min num number budget usage per expiry expires expired expiration ttl age policy "
    "rules required enabled disabled valid embedding embeddings dim logits probs probability level strategy rate ids manager store "
    "provider backend classification position positions offset error errors version"
)
#: Before `token` they say that it is one of a text or of a listing.
_TEXT_TOKENS = _words(
    "max min num n total eos bos pad unk sep cls mask stop start end special next last first page continuation input output prompt "
    "completion per prev previous"
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|[0-9]+")

#: Longer names are looked at up to here (characters).
MAX_NAME = 128


def words_of(name: str) -> Tuple[str, ...]:
    """The words of a name, in small letters: `openaiApiKey` is openai, api, key."""
    return tuple(word.lower() for word in _PARTS.findall(name[:MAX_NAME]))


def is_secret(words: Sequence[str], further: FrozenSet[Tuple[str, ...]] = frozenset()) -> bool:
    """Do these words name a secret? `further` holds names that do so too, in words."""
    end = max(_ends(words), default=0)
    if not end and further:
        end = max((at + len(name) for name in further for at in range(len(words)) if tuple(words[at : at + len(name)]) == name), default=0)
    return bool(end) and not _PROPERTIES.intersection(words[end:])


def further_names(names: Iterable[str]) -> FrozenSet[Tuple[str, ...]]:
    """Names that a user gives, as `is_secret` takes them."""
    return frozenset(words for words in map(words_of, names) if words)


def _ends(words: Sequence[str]) -> List[int]:
    """Behind which words a secret's name ends."""
    if len(words) == 1 and words[0] == "auth":
        return [1]
    found = []
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        if word == "token" and before in _TEXT_TOKENS:
            continue
        pairs = _BEFORE.get(word) or _BEFORE.get(word[:-1] if word.endswith("s") else word, _NONE)
        last = word in _LAST and all(other.isdigit() for other in words[at + 1 :])
        if word in _WORDS or before in pairs or last or word.endswith(_ENDINGS):
            found.append(at + 1)
    return found
