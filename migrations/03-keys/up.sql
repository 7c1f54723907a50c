-- Keys by which rivetr is let in to repositories over SSH, and those by which it knows their servers again.

CREATE TABLE key (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL UNIQUE,
    public  TEXT    NOT NULL, -- as in authorized_keys
    private BLOB    NOT NULL, -- sealed for the place key/<name>
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE known_host (
    id   INTEGER PRIMARY KEY,
    host TEXT    NOT NULL, -- git.example.org:22
    key  TEXT    NOT NULL, -- as in known_hosts, without the host
    seen INTEGER NOT NULL,
    UNIQUE (host, key)
) STRICT;
