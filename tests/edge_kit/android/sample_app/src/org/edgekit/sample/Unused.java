package org.edgekit.sample;

/** Nothing reaches it: the shrinker must leave it out. */
public class Unused {}
