-- Changes of every kind. Each statement outside of BEGIN is a transaction of its own.
INSERT INTO kinds VALUES (2, '{1,NULL,3}', ARRAY['a"b', NULL, E'c\\d\n', ''], '{"a": [1, "x\\u00e9\"", null]}', '{"b" :  1.0}', '\x00ff0a5c27',
    'NaN', '-Infinity', 1e-30, '1 mon -2 days 03:04:05.678', '[1,5)', '{[1,2),[5,9)}', 'it''s', '{sad,"ha\"ppy\\"}', 7,
    '<a b="c">&lt;''é</a>', '10101', '1', '-1234.50', 'a:1 b''c:2', 'a & !b', '(1.5,-2)', '((1,1),(0,0))', ROW(NULL, 'x,y"('), 'CaSe',
    'a=>1, "b c"=>NULL', '2026-03-29 01:59:59.999999+00', 'infinity', '4000-01-01 BC', '23:59:60', '12:00:00-07',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '08:00:2b:01:02:03', 'pad', 'it''s', E'a\nb\tc\\.\r\x01\x7f:v $1 \\N', 42,
    'pg_class', '16/B374D848', 'q', true);
INSERT INTO kinds (id, t, f8, n, vc, iv) VALUES (3, '', 0.1, 1.500, ':x', '24:00:00'), (4, '\N', 'NaN', 1.5, E'\\', '1 day'), (5, E'\\.', '-0', 0, ' ', '-1 mon');
INSERT INTO kinds (id, t) SELECT i, E'\\.\n' || i FROM generate_series(10, 29) i;
INSERT INTO kinds_full SELECT * FROM kinds;
INSERT INTO kinds_full SELECT * FROM kinds;
UPDATE kinds SET t = t || '!', n = n + 1, ints = ints || 9 WHERE id < 20;
UPDATE kinds SET id = id + 1000, m = 'ha"ppy\' WHERE id BETWEEN 10 AND 14;
UPDATE kinds_full SET vc = 'changed', n = 1.50 WHERE ctid IN (SELECT min(ctid) FROM kinds_full GROUP BY id);
UPDATE kinds_full SET f8 = NULL, pa = ROW(NULL, NULL) WHERE id = 5;
DELETE FROM kinds_full WHERE ctid IN (SELECT max(ctid) FROM kinds_full GROUP BY id HAVING id < 15);
DELETE FROM kinds WHERE id IN (4, 15);

INSERT INTO by_domain VALUES ('a''b', 'sad', '1'), ('a''b', 'it''s', '1'), ('ü', 'sad', '1');
UPDATE by_domain SET v = '2' WHERE m = 'sad';
UPDATE by_domain SET k = 'moved' WHERE m = 'it''s';
DELETE FROM by_domain WHERE k = 'ü';
INSERT INTO by_citext VALUES ('Foo', '1'), ('bar', '1'), ('Baz', '1');
UPDATE by_citext SET v = '2' WHERE k = 'foo';
UPDATE by_citext SET k = 'BAR' WHERE k = 'bar';
DELETE FROM by_citext WHERE k = 'baz';
INSERT INTO by_numeric VALUES (1.0, 'a'), ('NaN', 'b'), (1e20, 'c');
UPDATE by_numeric SET v = v || '!';
UPDATE by_numeric SET k = 1.000 WHERE k = 1;
INSERT INTO by_array VALUES ('{1,NULL}', 'a', '1'), ('{}', 'b', '1');
UPDATE by_array SET v = '2';
DELETE FROM by_array WHERE k = '{}';

UPDATE large SET n = n + 1;
UPDATE large SET id = -id WHERE id = 2;
UPDATE large SET body = 'short' WHERE id = 3;
UPDATE large_full SET n = n + 1 WHERE ctid IN (SELECT min(ctid) FROM large_full GROUP BY id);
DELETE FROM large_full WHERE ctid IN (SELECT max(ctid) FROM large_full WHERE id = 1);

INSERT INTO twins SELECT 1, NULL, '(1,2)' FROM generate_series(1, 6);
INSERT INTO twins VALUES (NULL, 'x', NULL), (NULL, 'x', NULL);
UPDATE twins SET b = 'one of them' WHERE ctid = (SELECT ctid FROM twins WHERE a = 1 LIMIT 1);
DELETE FROM twins WHERE ctid IN (SELECT ctid FROM twins WHERE b IS NULL LIMIT 2);
UPDATE twins SET p = '(0,0)' WHERE ctid = (SELECT ctid FROM twins WHERE b = 'x' LIMIT 1);
INSERT INTO composites VALUES (ROW(NULL, NULL), 1), (NULL, 1), (ROW(1, ''), 1);
DELETE FROM composites WHERE p IS NOT DISTINCT FROM NULL;
UPDATE composites SET q = 2 WHERE p IS NULL;
INSERT INTO loose VALUES (1.0, 'x'), (1.00, 'x'), (1.000, 'x');
DELETE FROM loose WHERE n::text = '1.00';
UPDATE loose SET v = 'y' WHERE n::text = '1.000';

INSERT INTO indexed SELECT i, 'b' || i, NULL, 'v' FROM generate_series(1, 12) i;
UPDATE indexed SET v = 'w' WHERE a < 5;
UPDATE indexed SET b = 'moved' WHERE a = 6;
DELETE FROM indexed WHERE a > 10;
INSERT INTO log SELECT i, 'what' FROM generate_series(1, 90) i;

INSERT INTO numbered (v) VALUES ('a'), ('b'), ('c');
UPDATE numbered SET v = 'd' WHERE id = 2;
UPDATE numbered SET id = DEFAULT WHERE v = 'a';
DELETE FROM numbered WHERE v = 'c';
INSERT INTO counted (id, v) VALUES (1, 'a'), (2, 'b');
UPDATE counted SET v = 'c' WHERE id = 1;
UPDATE counted SET n = DEFAULT WHERE id = 2;
INSERT INTO counted_full (v) VALUES ('a'), ('b');
UPDATE counted_full SET v = 'c' WHERE v = 'a';
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
DELETE FROM nothing WHERE ctid = (SELECT min(ctid) FROM nothing);

INSERT INTO one (v) VALUES ('a'), ('b');
INSERT INTO two (v) VALUES ('a'), ('b');
BEGIN;
INSERT INTO one (v) VALUES ('gone');
TRUNCATE one, two RESTART IDENTITY;
INSERT INTO one (v) VALUES ('again');
INSERT INTO two (v) VALUES ('again');
COMMIT;
INSERT INTO parted VALUES ('eu', 1, 'a'), ('eu', 2, 'a'), ('us', 1, 'a'), ('us', 200, 'a');
UPDATE parted SET region = 'us', v = 'moved' WHERE region = 'eu' AND id = 2;
UPDATE parted SET id = 300 WHERE region = 'us' AND id = 1;
UPDATE parted SET v = 'b';
DELETE FROM parted WHERE id = 200;
TRUNCATE parted_eu;
INSERT INTO parent VALUES (1, 'a'), (2, 'a');
INSERT INTO child VALUES (1, 'a', 'x'), (3, 'a', 'y');
UPDATE parent SET v = 'b' WHERE id = 1;
DELETE FROM ONLY parent WHERE id = 2;
TRUNCATE ONLY parent;
INSERT INTO parent VALUES (9, 'z');

BEGIN;
INSERT INTO many SELECT i, 'row ' || i FROM generate_series(101, 40100) i;
UPDATE many SET v = v || '!' WHERE id % 40 = 0;
DELETE FROM many WHERE id % 50 = 0;
COMMIT;
BEGIN;
SAVEPOINT a;
INSERT INTO many VALUES (-1, 'gone');
ROLLBACK TO a;
INSERT INTO many VALUES (1, 'x'), (-99, 'x') ON CONFLICT (id) DO UPDATE SET v = 'conflict';
SAVEPOINT b;
UPDATE many SET id = -id WHERE id BETWEEN 2 AND 9;
RELEASE b;
COMMIT;
BEGIN;
INSERT INTO many VALUES (-500, 'gone');
ROLLBACK;
SELECT pg_logical_emit_message(true, 'somebody', 'something');

INSERT INTO "S x.y".U&"we""ird\000atable\005c" VALUES (1, ''' OR 1=1; --', E'\\', E'\n'), (2, '"', 'ü', NULL);
UPDATE "S x.y".U&"we""ird\000atable\005c" SET "sel""ect" = E'\r\n', "größe;--" = '$$';
DELETE FROM "S x.y".U&"we""ird\000atable\005c" WHERE "sel""ect" = E'\r\n' AND U&"t\0009\005cd" IS NULL;
INSERT INTO "S x.y"."UPDATE" VALUES ('SET', 'NULL'), ('NULL', NULL), (E'E''\\', 'x');
UPDATE "S x.y"."UPDATE" SET "ctid""" = 'LIMIT 1)';
DELETE FROM "S x.y"."UPDATE" WHERE "WHERE" = 'SET';

INSERT INTO links VALUES (1, 1), (1, 2);
UPDATE links SET a = 1;
INSERT INTO links VALUES (1, 2) ON CONFLICT (a, b) DO UPDATE SET b = excluded.b;
