package io.trunkline;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Which calls may be repeated, and how long each may take: made from the contract. */
final class ServiceConfig {
  private ServiceConfig() {}

  static Map<String, ?> read() {
    try (InputStream file = ServiceConfig.class.getResourceAsStream("service_config.json")) {
      InputStreamReader text = new InputStreamReader(file, StandardCharsets.UTF_8);
      return new Gson().fromJson(text, new TypeToken<Map<String, Object>>() {}.getType());
    } catch (IOException broken) {
      throw new UncheckedIOException(broken);
    }
  }
}
