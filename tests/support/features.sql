-- What tests/load/features.sql leaves to be wished for: many rows, floats at their edges, an exclusion, a deferred key, statistics.
CREATE TABLE many (id bigint PRIMARY KEY, v text COLLATE "C", f double precision, n numeric);
INSERT INTO many SELECT i, repeat(md5(i::text), 1 + i % 9), i / 7.0, i ^ 11 FROM generate_series(1, 5000) i;
INSERT INTO many VALUES (-1, E'tab\there\\N', 'NaN', 'NaN'), (-2, NULL, '-Infinity', 1e-100);
CREATE TABLE child (of bigint REFERENCES many DEFERRABLE INITIALLY DEFERRED, EXCLUDE USING btree (of WITH =));
INSERT INTO child VALUES (1), (2), (-1);
CREATE TABLE selfish (id integer PRIMARY KEY, parent integer REFERENCES selfish);
INSERT INTO selfish VALUES (1, 2), (2, 1);
CREATE STATISTICS together (dependencies) ON id, v FROM many;
CREATE SEQUENCE owned_elsewhere AS smallint START 32767 MAXVALUE 32767;
SELECT nextval('owned_elsewhere');
CREATE AGGREGATE total (integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE FUNCTION tells(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR === (leftarg = integer, rightarg = integer, function = tells);
CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER loud ON ddl_command_start WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION watched();
CREATE PUBLICATION everything FOR TABLE many;
