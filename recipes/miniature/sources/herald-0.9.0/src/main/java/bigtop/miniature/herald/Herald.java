// SPDX-License-Identifier: Apache-2.0
package bigtop.miniature.herald;

import bigtop.miniature.salute.Salutation;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Properties;
import org.apache.commons.daemon.Daemon;
import org.apache.commons.daemon.DaemonContext;

/** Answers "GET /NAME" with a greeting. Its one argument is a properties file. */
public final class Herald implements Daemon {
    private HttpServer server;

    @Override
    public void init(DaemonContext context) throws IOException {
        Properties settings = new Properties();
        try (InputStream file = Files.newInputStream(Paths.get(context.getArguments()[0]))) {
            settings.load(file);
        }
        int port = Integer.parseInt(settings.getProperty("port", "7450"));
        server = HttpServer.create(new InetSocketAddress(port), 0);
        server.createContext("/", Herald::answer);
    }

    private static void answer(HttpExchange exchange) throws IOException {
        String name = exchange.getRequestURI().getPath().substring(1);
        byte[] text = (Salutation.to(name) + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(200, text.length);
        exchange.getResponseBody().write(text);
        exchange.close();
    }

    @Override
    public void start() {
        server.start();
    }

    @Override
    public void stop() {
        server.stop(0);
    }

    @Override
    public void destroy() {
    }
}
