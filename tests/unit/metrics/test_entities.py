from madang.metrics import entities, entity_scores


def test_entities_begin_where_their_tags_say():
    assert entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]) == {
        ("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 5), ("PER", 5, 6),
    }  # fmt: skip
    assert entities(["O", "O"]) == set()


def test_an_entity_counts_when_its_kind_and_both_ends_are_right():
    true = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O"]]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["B-ORG", "I-ORG"]]
    assert entity_scores(true, predicted) == {"entity_precision": 1 / 3, "entity_recall": 1 / 3, "entity_f1": 1 / 3}


def test_nothing_to_find_is_no_division_by_zero():
    assert entity_scores([["O"]], [["O"]]) == {"entity_precision": 0.0, "entity_recall": 0.0, "entity_f1": 0.0}
