-- A small business database to try the flow with; business.sqlite is made from it:
--   sqlite3 business.sqlite < business.sql
-- 供试用的小型业务数据库；business.sqlite 由本文件生成。
CREATE TABLE cards (
  number   TEXT PRIMARY KEY,          -- ten digits on the card  卡面十位卡号
  owner    TEXT NOT NULL,
  plate    TEXT NOT NULL,
  balance  NUMERIC NOT NULL,          -- yuan  元
  status   TEXT NOT NULL CHECK (status IN ('active', 'lost', 'overdue')),
  id_tail  TEXT NOT NULL,             -- last four characters of the owner's identity card, digits only
  level    TEXT NOT NULL DEFAULT 'normal'
);
CREATE TABLE passes (
  card     TEXT NOT NULL REFERENCES cards (number),
  passed   TEXT NOT NULL,             -- local time, ISO 8601
  entry_zh TEXT NOT NULL,
  exit_zh  TEXT NOT NULL,
  entry_en TEXT NOT NULL,
  exit_en  TEXT NOT NULL,
  fee      NUMERIC NOT NULL
);
CREATE INDEX passes_by_card ON passes (card, passed);
INSERT INTO cards VALUES
  ('1101000001', '王芳', '京A12345', 235.5, 'active', '1234', 'normal'),
  ('1101000002', '李强', '京B67890', 12, 'active', '5678', 'normal'),
  ('1101000003', '赵敏', '津C24680', 0, 'lost', '1357', 'normal'),
  ('1101000004', '陈伟', '冀D13579', -45.8, 'overdue', '2468', 'normal'),
  ('1101000005', 'Global Logistics Ltd', '京E88888', 15820.05, 'active', '8888', 'gold');
INSERT INTO passes VALUES
  ('1101000001', '2026-11-20T08:12:00', '京承', '密云', 'Jingcheng', 'Miyun', 25),
  ('1101000001', '2026-11-20T18:40:00', '密云', '京承', 'Miyun', 'Jingcheng', 25),
  ('1101000001', '2026-11-21T09:05:00', '六环', '机场', 'Sixth Ring', 'the airport', 10),
  ('1101000001', '2026-11-15T07:30:00', '京沪', '天津', 'Jinghu', 'Tianjin', 42.5),
  ('1101000002', '2026-11-22T07:58:00', '六环', '昌平', 'Sixth Ring', 'Changping', 8.5),
  ('1101000005', '2026-11-22T02:15:00', '京港澳', '石家庄', 'Jinggang''ao', 'Shijiazhuang', 130);
