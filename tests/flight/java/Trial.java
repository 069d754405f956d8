// What the JDBC driver of Flight SQL asks of a server, asked by the client that it is built on.
//
// java -cp JARS Trial.java HOST PORT [TOKEN | - [CA_FILE]] prints a line for each check and ends with 1 where one failed.

import java.io.FileInputStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.TimeUnit;
import org.apache.arrow.flight.*;
import org.apache.arrow.flight.auth2.*;
import org.apache.arrow.flight.client.ClientCookieMiddleware;
import org.apache.arrow.flight.grpc.CredentialCallOption;
import org.apache.arrow.flight.sql.FlightSqlClient;
import org.apache.arrow.flight.sql.FlightSqlColumnMetadata;
import org.apache.arrow.flight.sql.impl.FlightSql.CommandStatementIngest.TableDefinitionOptions;
import org.apache.arrow.flight.sql.impl.FlightSql.SqlInfo;
import org.apache.arrow.flight.sql.util.TableRef;
import org.apache.arrow.memory.*;
import org.apache.arrow.vector.*;
import org.apache.arrow.vector.complex.*;
import org.apache.arrow.vector.ipc.ReadChannel;
import org.apache.arrow.vector.ipc.message.MessageSerializer;
import org.apache.arrow.vector.types.pojo.*;

public class Trial {
  interface Check { void run() throws Exception; }

  static BufferAllocator allocator;
  static FlightClient flight;
  static FlightSqlClient client;
  static CallOption[] options = {};
  static int failed = 0;

  public static void main(String[] given) throws Exception {
    allocator = new RootAllocator();
    boolean secure = given.length > 3;
    Location location = secure
        ? Location.forGrpcTls(given[0], Integer.parseInt(given[1]))
        : Location.forGrpcInsecure(given[0], Integer.parseInt(given[1]));
    ClientIncomingAuthHeaderMiddleware.Factory bearer =
        new ClientIncomingAuthHeaderMiddleware.Factory(new ClientBearerHeaderHandler());
    FlightClient.Builder builder = FlightClient.builder(allocator, location)
        .intercept(new ClientCookieMiddleware.Factory()).intercept(bearer);
    if (secure) {
      builder.useTls().trustedCertificates(new FileInputStream(given[3]));
    }
    flight = builder.build();
    client = new FlightSqlClient(flight);
    if (given.length > 2 && !given[2].equals("-")) {
      check("nobody is let in without a token", () -> refused(() -> client.execute("SELECT 1"), FlightStatusCode.UNAUTHENTICATED));
      CredentialCallOption wrong = new CredentialCallOption(new BasicAuthCredentialWriter("any", "wrong"));
      check("nor with a wrong one", () -> refused(() -> flight.handshake(wrong), FlightStatusCode.UNAUTHENTICATED));
      check("a password is a token", () -> {
        flight.handshake(new CredentialCallOption(new BasicAuthCredentialWriter("any", given[2])));
        options = new CallOption[] {bearer.getCredentialCallOption()};
        same(1L, value("SELECT 1"));
      });
      check("a token is one", () -> {
        CallOption[] before = options;
        options = new CallOption[] {new CredentialCallOption(new BearerCredentialWriter(given[2]))};
        same(1L, value("SELECT 1"));
        options = before;
      });
    }
    run("DROP TABLE IF EXISTS java_things");
    checks();
    client.close();
    System.out.println(failed == 0 ? "all passed" : failed + " failed");
    System.exit(failed == 0 ? 0 : 1);
  }

  static void checks() {
    check("what the server says of itself, whole", () -> {
      Map<Integer, Object> infos = new TreeMap<>();
      for (Map<String, Object> row : rows(client.getSqlInfo(new int[] {}, options))) {
        infos.put(((Number) row.get("info_name")).intValue(), row.get("value"));
      }
      for (SqlInfo info : SqlInfo.values()) {
        if (info != SqlInfo.UNRECOGNIZED && info.getNumber() >= 500 && !infos.containsKey(info.getNumber())) {
          throw new AssertionError("nothing of " + info);
        }
      }
      for (int number = 541; number <= 562; number++) { // the driver casts these to Long
        if (number != 556) {
          same(Long.class, infos.get(number).getClass());
        }
      }
      for (int number : new int[] {522, 525, 526, 528, 533, 534, 535, 538, 540, 564, 567, 568, 569, 570, 571}) {
        same(Integer.class, infos.get(number).getClass()); // and these to Integer
      }
      same("\"", infos.get(504).toString());
      same("Jammi SQL", infos.get(0).toString());
    });
    check("DDL is an update without columns", () -> {
      same(-1L, run("CREATE TABLE java_things (id BIGINT NOT NULL PRIMARY KEY, ok BOOLEAN, tiny TINYINT, small SMALLINT, "
          + "plain INT, single FLOAT, double DOUBLE, price DECIMAL(10, 2), name VARCHAR, data BYTEA, day DATE, "
          + "at TIMESTAMP, zoned TIMESTAMP WITH TIME ZONE, hour TIME, parts BIGINT[])"));
    });
    check("parameters have the types of their columns", () -> {
      try (Prepared statement = prepare(
          "INSERT INTO java_things (id, ok, tiny, small, plain, single, double, price, name, data, day, at, zoned, hour) "
              + "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
        same("[]", statement.it.getResultSetSchema().getFields().toString());
        List<String> types = new ArrayList<>();
        for (Field field : statement.it.getParameterSchema().getFields()) {
          types.add(field.getType().toString());
        }
        same(14, types.size());
        same("Int(64, true) Bool Int(8, true) Int(16, true) Int(32, true) FloatingPoint(SINGLE) FloatingPoint(DOUBLE) "
            + "Decimal(10, 2, 128) Utf8 Binary Date(DAY)", String.join(" ", types.subList(0, 11)));
      }
    });
    check("a parameter of each type comes back", () -> {
      try (Prepared statement = prepare("INSERT INTO java_things VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)");
          VectorSchemaRoot values = VectorSchemaRoot.create(statement.it.getParameterSchema(), allocator)) {
        ((BigIntVector) values.getVector(0)).setSafe(0, 99);
        ((BitVector) values.getVector(1)).setSafe(0, 1);
        ((TinyIntVector) values.getVector(2)).setSafe(0, -8);
        ((SmallIntVector) values.getVector(3)).setSafe(0, -16);
        ((IntVector) values.getVector(4)).setSafe(0, -32);
        ((Float4Vector) values.getVector(5)).setSafe(0, 1.5f);
        ((Float8Vector) values.getVector(6)).setSafe(0, 2.5);
        ((DecimalVector) values.getVector(7)).setSafe(0, new BigDecimal("12345678.90"));
        ((VarCharVector) values.getVector(8)).setSafe(0, "\u00fc".getBytes(StandardCharsets.UTF_8));
        ((VarBinaryVector) values.getVector(9)).setSafe(0, new byte[] {0, -1});
        ((DateDayVector) values.getVector(10)).setSafe(0, 21945);
        ((TimeStampNanoVector) values.getVector(11)).setSafe(0, 1_896_000_000_000_000_001L);
        ((TimeStampMicroTZVector) values.getVector(12)).setSafe(0, 1_896_000_000_000_002L);
        ((TimeNanoVector) values.getVector(13)).setSafe(0, 45_000_000_000_003L);
        values.setRowCount(1);
        statement.it.setParameters(values);
        same(1L, statement.it.executeUpdate(options));
        Map<String, Object> sent = new LinkedHashMap<>();
        for (FieldVector vector : values.getFieldVectors()) {
          sent.put(vector.getName(), vector.getObject(0));
        }
        List<Object> found = new ArrayList<>(rows(client.execute("SELECT * FROM java_things WHERE id = 99", options)).get(0).values());
        List<String> texts = new ArrayList<>();
        for (Object value : found.subList(0, 14)) {
          texts.add(value instanceof byte[] ? Arrays.toString((byte[]) value) : String.valueOf(value));
        }
        List<String> expected = new ArrayList<>();
        for (Object value : sent.values()) {
          expected.add(value instanceof byte[] ? Arrays.toString((byte[]) value) : String.valueOf(value));
        }
        same(expected, texts);
      }
      run("DELETE FROM java_things");
    });
    check("rows of parameters, bound again and again, are one update", () -> {
      try (Prepared statement =
              prepare("INSERT INTO java_things (id, name, price, ok) VALUES (?, ?, ?, ?)");
          VectorSchemaRoot values = VectorSchemaRoot.create(statement.it.getParameterSchema(), allocator)) {
        for (int place = 0; place < 3; place++) { // as the driver's executeBatch does
          ((BigIntVector) values.getVector(0)).setSafe(place, place + 1);
          if (place == 2) {
            values.getVector(1).setNull(place);
          } else {
            ((VarCharVector) values.getVector(1)).setSafe(place, ("n" + place).getBytes(StandardCharsets.UTF_8));
          }
          ((DecimalVector) values.getVector(2)).setSafe(place, new BigDecimal("1.50"));
          ((BitVector) values.getVector(3)).setSafe(place, 1);
          values.setRowCount(place + 1);
          statement.it.setParameters(values);
        }
        same(3L, statement.it.executeUpdate(options));
      }
      same(3L, value("SELECT count(*) FROM java_things WHERE price = 1.50 AND ok"));
      same(1L, value("SELECT count(*) FROM java_things WHERE name IS NULL"));
    });
    check("a query with parameters, twice", () -> {
      try (Prepared statement =
              prepare("SELECT id, name FROM java_things WHERE id >= ? AND name LIKE ? ORDER BY id LIMIT ?");
          VectorSchemaRoot values = VectorSchemaRoot.create(statement.it.getParameterSchema(), allocator)) {
        same(2, statement.it.getResultSetSchema().getFields().size());
        for (int first = 1; first <= 2; first++) {
          ((BigIntVector) values.getVector(0)).setSafe(0, first);
          ((VarCharVector) values.getVector(1)).setSafe(0, "n%".getBytes(StandardCharsets.UTF_8));
          ((BigIntVector) values.getVector(2)).setSafe(0, 10);
          values.setRowCount(1);
          statement.it.setParameters(values);
          same(3 - first, rows(statement.it.execute(options)).size());
        }
      }
    });
    check("UPDATE and DELETE with parameters", () -> {
      same(1L, update("UPDATE java_things SET name = ? WHERE id = ?", "new", 1L));
      same("new", value("SELECT name FROM java_things WHERE id = 1").toString());
      same(1L, update("DELETE FROM java_things WHERE name = ? AND id < ?", "n1", 100L));
    });
    check("a value of each type", () -> {
      List<Map<String, Object>> found = rows(client.execute(
          "SELECT true b, CAST(1 AS TINYINT) i8, CAST(2 AS SMALLINT) i16, CAST(3 AS INT) i32, 4 i64, "
              + "CAST(5 AS BIGINT UNSIGNED) u64, CAST(1.5 AS FLOAT) f32, 2.5 f64, CAST(1.25 AS DECIMAL(10, 2)) d, 'text' s, "
              + "X'00ff' raw, DATE '2030-01-31' day, TIME '12:30:00' t, TIMESTAMP '2030-01-31 12:30:00' ts, "
              + "TIMESTAMP '2030-01-31 12:30:00Z' tz, [1, 2] l, {'a': 1} st, INTERVAL '1 day' iv, NULL nothing", options));
      Map<String, Object> row = found.get(0);
      same(true, row.get("b"));
      same((byte) 1, row.get("i8"));
      same((short) 2, row.get("i16"));
      same(3, row.get("i32"));
      same(4L, row.get("i64"));
      same(5L, ((Number) row.get("u64")).longValue());
      same(1.5f, row.get("f32"));
      same(2.5, row.get("f64"));
      same(new BigDecimal("1.25"), row.get("d"));
      same("text", row.get("s").toString());
      same("[0, -1]", Arrays.toString((byte[]) row.get("raw")));
      same("[1,2]", row.get("l").toString());
      same("{\"a\":1}", row.get("st").toString());
      same(null, row.get("nothing"));
      same(19, row.size());
    });
    check("an error has its status and text", () -> {
      FlightRuntimeException error = refused(() -> client.prepare("SELECT nope FROM java_things", options), FlightStatusCode.INVALID_ARGUMENT);
      has(error.getMessage(), "42703");
    });
    check("catalogs, schemas, tables, table types", () -> {
      has(rows(client.getCatalogs(options)).toString(), "catalog_name=jammi");
      has(rows(client.getSchemas("jammi", "publ%", options)).toString(), "db_schema_name=public");
      List<Map<String, Object>> found = rows(client.getTables(null, null, "java\\_%", List.of("table"), true, options));
      same(1, found.size());
      Schema columns = MessageSerializer.deserializeSchema(new ReadChannel(java.nio.channels.Channels.newChannel(
          new java.io.ByteArrayInputStream((byte[]) found.get(0).get("table_schema")))));
      same(15, columns.getFields().size());
      FlightSqlColumnMetadata metadata = new FlightSqlColumnMetadata(columns.findField("price").getMetadata());
      same("DECIMAL(10, 2)", metadata.getTypeName());
      same(10, metadata.getPrecision());
      same(2, metadata.getScale());
      same("java_things", metadata.getTableName());
      same(false, metadata.isAutoIncrement());
      same(true, metadata.isSearchable());
      same(3, rows(client.getTableTypes(options)).size());
      same(0, rows(client.getTables("nowhere", null, null, null, false, options)).size());
    });
    check("keys", () -> {
      TableRef table = TableRef.of(null, "public", "java_things");
      List<Map<String, Object>> keys = rows(client.getPrimaryKeys(table, options));
      same("id", keys.get(0).get("column_name").toString());
      same(0, rows(client.getImportedKeys(table, options)).size());
      same(0, rows(client.getExportedKeys(table, options)).size());
      same(0, rows(client.getCrossReference(table, table, options)).size());
    });
    check("types", () -> {
      same(18, rows(client.getXdbcTypeInfo(options)).size());
      same("VARCHAR", rows(client.getXdbcTypeInfo(12, options)).get(0).get("type_name").toString());
    });
    check("transactions and savepoints", () -> {
      FlightSqlClient.Transaction transaction = client.beginTransaction(options);
      client.executeUpdate("INSERT INTO java_things (id) VALUES (10)", transaction, options);
      client.release(client.beginSavepoint(transaction, "one", options), options);
      client.executeUpdate("SAVEPOINT two", transaction, options); // client.rollback(savepoint) of 18.3 sends a release
      client.executeUpdate("INSERT INTO java_things (id) VALUES (11)", transaction, options);
      client.executeUpdate("ROLLBACK TO two", transaction, options);
      client.commit(transaction, options);
      same("[{id=10}]", rows(client.execute("SELECT id FROM java_things WHERE id >= 10", options)).toString());
      FlightSqlClient.Transaction undone = client.beginTransaction(options);
      client.executeUpdate("DELETE FROM java_things", undone, options);
      client.rollback(undone, options);
      same(3L, value("SELECT count(*) FROM java_things"));
    });
    check("BEGIN and ROLLBACK as statements, for drivers without transactions", () -> {
      run("BEGIN");
      run("INSERT INTO java_things (id) VALUES (20)");
      same(1L, value("SELECT count(*) FROM java_things WHERE id = 20"));
      run("ROLLBACK");
      same(0L, value("SELECT count(*) FROM java_things WHERE id = 20"));
    });
    check("ingest", () -> {
      Field number = Field.nullable("n", new ArrowType.Int(64, true));
      try (VectorSchemaRoot rows = VectorSchemaRoot.create(new Schema(List.of(number)), allocator)) {
        for (int place = 0; place < 1000; place++) {
          ((BigIntVector) rows.getVector(0)).setSafe(place, place);
        }
        rows.setRowCount(1000);
        TableDefinitionOptions how = TableDefinitionOptions.newBuilder()
            .setIfNotExist(TableDefinitionOptions.TableNotExistOption.TABLE_NOT_EXIST_OPTION_CREATE)
            .setIfExists(TableDefinitionOptions.TableExistsOption.TABLE_EXISTS_OPTION_REPLACE).build();
        same(1000L, client.executeIngest(rows, new FlightSqlClient.ExecuteIngestOptions(
            "java_ingested", how, false, null, null, Map.of()), options));
      }
      same(499500L, value("SELECT sum(n) FROM java_ingested"));
      run("DROP TABLE java_ingested");
    });
    check("many batches", () -> same(1_000_000L, count(client.execute("SELECT value FROM generate_series(1, 1000000)", options))));
    check("the catalog of the connection, and the end of its session", () -> {
      SetSessionOptionsResult result = client.setSessionOptions(new SetSessionOptionsRequest(
          Map.of("catalog", SessionOptionValueFactory.makeSessionOptionValue("jammi"))), options);
      same(false, result.hasErrors());
      has(client.getSessionOptions(new GetSessionOptionsRequest(), options).getSessionOptions().keySet().toString(), "schema");
      SetSessionOptionsResult wrong = client.setSessionOptions(new SetSessionOptionsRequest(
          Map.of("catalog", SessionOptionValueFactory.makeSessionOptionValue("nowhere"))), options);
      same(true, wrong.hasErrors());
    });
    check("a live stream is cancelled", () -> {
      run("CREATE TOPIC IF NOT EXISTS java_events (id BIGINT)");
      run("INSERT INTO java_events VALUES (1)");
      FlightInfo info = client.execute("SELECT id FROM subscribe('java_events', from => 0)", options);
      try (FlightStream stream = client.getStream(info.getEndpoints().get(0).getTicket(), options)) {
        same(true, stream.next());
        stream.cancel("enough", null);
      }
      run("DROP TOPIC java_events");
    });
    check("a statement is cancelled by its FlightInfo", () -> {
      FlightInfo info = client.execute("SELECT count(*) FROM generate_series(1, 1000000000000)", options);
      same(CancelStatus.CANCELLED, client.cancelFlightInfo(new CancelFlightInfoRequest(info), options).getStatus());
      refused(() -> count(info), null);
    });
    check("a deadline ends a call", () -> {
      CallOption[] timed = Arrays.copyOf(options, options.length + 1);
      timed[options.length] = CallOptions.timeout(500, TimeUnit.MILLISECONDS);
      FlightInfo info = client.execute("SELECT count(*) FROM generate_series(1, 1000000000000)", options);
      refused(() -> {
        try (FlightStream stream = client.getStream(info.getEndpoints().get(0).getTicket(), timed)) {
          stream.next();
        } catch (RuntimeException error) {
          throw error;
        } catch (Exception error) {
          throw new AssertionError(error);
        }
      }, FlightStatusCode.TIMED_OUT);
    });
    check("the session ends", () ->
        same(CloseSessionResult.Status.CLOSED, client.closeSession(new CloseSessionRequest(), options).getStatus()));
  }

  // --- as the driver runs statements: all are prepared ---

  static class Prepared implements AutoCloseable {
    final FlightSqlClient.PreparedStatement it;

    Prepared(String text) {
      it = client.prepare(text, options);
    }

    @Override
    public void close() { // by itself it would leave the token out
      it.close(options);
    }
  }

  static Prepared prepare(String text) {
    return new Prepared(text);
  }

  static long run(String text) {
    try (Prepared statement = prepare(text)) {
      return statement.it.executeUpdate(options);
    }
  }

  static long update(String text, Object... given) {
    try (Prepared statement = prepare(text);
        VectorSchemaRoot values = VectorSchemaRoot.create(statement.it.getParameterSchema(), allocator)) {
      for (int place = 0; place < given.length; place++) {
        if (given[place] instanceof Long) {
          ((BigIntVector) values.getVector(place)).setSafe(0, (Long) given[place]);
        } else {
          ((VarCharVector) values.getVector(place)).setSafe(0, given[place].toString().getBytes(StandardCharsets.UTF_8));
        }
      }
      values.setRowCount(1);
      statement.it.setParameters(values);
      return statement.it.executeUpdate(options);
    }
  }

  static Object value(String text) throws Exception {
    try (Prepared statement = prepare(text)) {
      return rows(statement.it.execute(options)).get(0).values().iterator().next();
    }
  }

  static List<Map<String, Object>> rows(FlightInfo info) throws Exception {
    List<Map<String, Object>> found = new ArrayList<>();
    for (FlightEndpoint endpoint : info.getEndpoints()) {
      try (FlightStream stream = client.getStream(endpoint.getTicket(), options)) {
        info.getSchemaOptional().ifPresent(announced -> same(announced.getFields(), stream.getSchema().getFields()));
        while (stream.next()) {
          VectorSchemaRoot root = stream.getRoot();
          for (int place = 0; place < root.getRowCount(); place++) {
            Map<String, Object> row = new LinkedHashMap<>();
            for (FieldVector vector : root.getFieldVectors()) {
              row.put(vector.getName(), vector.getObject(place));
            }
            found.add(row);
          }
        }
      }
    }
    return found;
  }

  static long count(FlightInfo info) {
    long found = 0;
    try (FlightStream stream = client.getStream(info.getEndpoints().get(0).getTicket(), options)) {
      while (stream.next()) {
        found += stream.getRoot().getRowCount();
      }
    } catch (RuntimeException error) {
      throw error;
    } catch (Exception error) {
      throw new AssertionError(error);
    }
    return found;
  }

  // --- checks ---

  static void check(String what, Check check) {
    try {
      check.run();
      System.out.println("ok: " + what);
    } catch (Throwable error) {
      failed++;
      System.out.println("FAILED: " + what + ": " + error);
      StackTraceElement[] places = error.getStackTrace();
      for (StackTraceElement place : places) {
        if (place.getClassName().startsWith("Trial")) {
          System.out.println("    at line " + place.getLineNumber());
        }
      }
    }
  }

  static FlightRuntimeException refused(Runnable call, FlightStatusCode code) {
    try {
      call.run();
    } catch (FlightRuntimeException error) {
      if (code != null) {
        same(code, error.status().code());
      }
      return error;
    }
    throw new AssertionError("no error");
  }

  static void has(String text, String part) {
    if (!text.contains(part)) {
      throw new AssertionError(part + " is not in " + text);
    }
  }

  static void same(Object expected, Object found) {
    if (!Objects.equals(expected, found)) {
      throw new AssertionError("expected " + expected + ", found " + found);
    }
  }
}
