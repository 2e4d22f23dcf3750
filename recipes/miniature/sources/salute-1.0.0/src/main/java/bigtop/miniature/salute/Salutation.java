// SPDX-License-Identifier: Apache-2.0
package bigtop.miniature.salute;

/** Turns names into greetings. */
public final class Salutation {
    private Salutation() {
    }

    /** Greets one name, or the world if it is empty. */
    public static String to(String name) {
        return "Hello, " + orWorld(name) + "!";
    }

    private static String orWorld(String name) {
        return name.isEmpty() ? "world" : name;
    }

    public static void main(String[] names) {
        System.out.println(to(String.join(" ", names)));
    }
}
