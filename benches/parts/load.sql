\set id random(1, 10000)
BEGIN;
UPDATE accounts SET n = n + 1 WHERE id = :id;
SELECT n FROM accounts WHERE id = :id;
INSERT INTO rare (text) VALUES (md5(:id::text));
END;
