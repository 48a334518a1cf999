package io.trunkline;

import io.trunkline.v1.ChatInput;
import io.trunkline.v1.Completion;
import io.trunkline.v1.Message;
import io.trunkline.v1.Part;
import io.trunkline.v1.Role;
import io.trunkline.v1.TextPart;
import java.util.stream.Collectors;

/** Questions and answers of nothing but text. */
public final class Questions {
  private Questions() {}

  /** A question of one message to a model; {@code toBuilder()} adds the rest. */
  public static ChatInput question(String model, String text) {
    Part part = Part.newBuilder().setText(TextPart.newBuilder().setText(text)).build();
    Message message = Message.newBuilder().setRole(Role.ROLE_USER).addParts(part).build();
    return ChatInput.newBuilder().setModel(model).addMessages(message).build();
  }

  /** What the first answer of a completion says. */
  public static String textOf(Completion completion) {
    return completion.getCandidatesList().stream()
        .limit(1)
        .flatMap(candidate -> candidate.getMessage().getPartsList().stream())
        .map(part -> part.getText().getText())
        .collect(Collectors.joining());
  }
}
