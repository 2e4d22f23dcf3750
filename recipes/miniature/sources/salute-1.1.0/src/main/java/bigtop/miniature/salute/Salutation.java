// SPDX-License-Identifier: Apache-2.0
package bigtop.miniature.salute;

/** Turns names into greetings. */
public final class Salutation {
    private Salutation() {
    }

    /** Greets all names in one sentence, or the world if there is none. */
    public static String to(String... names) {
        int last = names.length - 1;
        if (last < 1) {
            return "Hello, " + orWorld(last < 0 ? "" : names[0]) + "!";
        }
        StringBuilder text = new StringBuilder("Hello, ");
        for (int i = 0; i <= last; i++) {
            text.append(i == 0 ? "" : i < last ? ", " : " and ").append(orWorld(names[i]));
        }
        return text.append('!').toString();
    }

    private static String orWorld(String name) {
        return name.isEmpty() ? "world" : name;
    }

    public static void main(String[] names) {
        System.out.println(to(names));
    }
}
