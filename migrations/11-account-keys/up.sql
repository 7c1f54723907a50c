-- A change of the key of an ACME account that is under way: the key that the server may know instead, sealed as the other.
ALTER TABLE acme_account ADD COLUMN next BLOB;
